package prove

import (
	"net/http"
	"testing"
)

// The answers are Matomo 5.3.0's, shortened.
func TestOpenedInstaller(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		opened bool
	}{
		"installed":                  {http.StatusOK, `<html><body>Error: Matomo is already installed. <a id="piwik-is-already-installed">`, false},
		"a step":                     {http.StatusOK, `<title>Matomo 5.3.0 &rsaquo; Installation</title><body id="installation">`, true},
		"the form of the database":   {http.StatusOK, `<form name="databasesetupform" id="databasesetupform" method="post">`, true},
		"it cannot write":            {http.StatusInternalServerError, `The Matomo configuration file (config/config.ini.php) is not writable, some of your changes might not be saved.`, true},
		"closed":                     {http.StatusNotFound, `An error occurred Matomo is not set up yet`, false},
		"login page, with its texts": {http.StatusOK, `var translations = {"x":"The file is not writable"}; <form id="login_form">`, false},
		"refused by the front":       {http.StatusMisdirectedRequest, ``, false},
	} {
		if got := openedInstaller(answered(c.status, c.body)); got != c.opened {
			t.Errorf("%s: opened is %v", name, got)
		}
	}
}

func TestUpdaterRan(t *testing.T) {
	for body, ran := range map[string]bool{
		"An error occurred Auto updater is disabled":                      false,
		"An error occurred Everything is already up to date.":             true,
		`<link href="index.php?module=CoreUpdater&action=getUpdaterCss">`: true,
	} {
		if got := updaterRan(answered(http.StatusInternalServerError, body)); got != ran {
			t.Errorf("%s: ran is %v", body, got)
		}
	}
}

func TestCutsLeaveNoDatabaseUser(t *testing.T) {
	content := "; <?php exit; ?> DO NOT REMOVE THIS LINE\n[database]\nhost = \"localhost\"\nusername = \"matomo\"\n"
	places := cuts(content)
	if len(places) != 2 || places[0].at != 0 || content[:places[1].at] != "; <?php exit; ?> DO NOT REMOVE THIS LINE\n[database]\nhost = \"localhost\"\n" {
		t.Errorf("cut at %+v", places)
	}
}
