package step

import (
	"strings"
	"testing"

	"rocca/internal/facts"
	"rocca/internal/secret"
)

func TestRemoteAccountPlan(t *testing.T) {
	account := Account{Account: "matomo@192.0.2.10", Grants: []string{"SELECT ON `matomo`.`t`"}, Remote: true, Password: secret.New("hunter2"), PasswordFile: "/passwords"}
	ours := map[string]facts.Path{"/passwords": {Type: facts.File}}
	for _, test := range []struct {
		name  string
		now   facts.Account
		paths map[string]facts.Path
		want  string // the sentence, or what the error begins with after "error: "
	}{
		{"missing", facts.Account{}, nil, "make it with SELECT ON `matomo`.`t`"},
		{"as it must be", facts.Account{Exists: true, Identity: "password", TLS: true, Grants: account.Grants}, ours, ""},
		{"without TLS", facts.Account{Exists: true, Identity: "password", Grants: account.Grants}, ours, "demand TLS"},
		{"another password", facts.Account{Exists: true, Identity: "password", TLS: true, Refused: true, Grants: account.Grants}, ours, "set its password again, which the server no longer accepts"},
		{"of somebody else", facts.Account{Exists: true, Identity: "password", TLS: true, Refused: true}, nil, "error: there is an account of that name"},
		{"grants", facts.Account{Exists: true, Identity: "password", TLS: true, Grants: []string{"DROP ON `matomo`.*"}}, ours, "revoke DROP ON `matomo`.*, grant SELECT ON `matomo`.`t`"},
	} {
		got, err := account.Plan(facts.Server{Database: facts.Database{Accounts: map[string]facts.Account{account.Account: test.now}}, Paths: test.paths})
		problem, isError := strings.CutPrefix(test.want, "error: ")
		switch {
		case isError != (err != nil):
			t.Errorf("%s: error %v", test.name, err)
		case isError && !strings.HasPrefix(err.Error(), problem), !isError && got.Sentence != test.want:
			t.Errorf("%s: %q %v, want %q", test.name, got.Sentence, err, test.want)
		}
	}
}

func TestGivenAccountPlan(t *testing.T) {
	account := GivenAccount{Account: "matomo@10.20.0.0/255.255.0.0", Grants: []string{"INSERT, SELECT ON `matomo`.`a`", "SELECT ON `matomo`.`b`"}}
	for _, test := range []struct {
		name string
		now  facts.Account
		want string // in the error; empty: nothing to do
	}{
		{"as it must be", facts.Account{Exists: true, Grants: account.Grants}, ""},
		{"it may more", facts.Account{Exists: true, Grants: append([]string{"DROP ON `matomo`.*"}, account.Grants...)}, ""},
		{"kept out", facts.Account{Refused: true}, "SHOW CREATE USER 'matomo'@'10.20.0.0/255.255.0.0'"},
		{"not made", facts.Account{}, "does not let it in"},
		{"it may less", facts.Account{Exists: true, Grants: account.Grants[:1]}, "no right to SELECT ON `matomo`.`b`\nhint: an administrator of the database gives it: GRANT SELECT ON `matomo`.`b` TO 'matomo'@'10.20.0.0/255.255.0.0'"},
	} {
		got, err := account.Plan(facts.Server{Database: facts.Database{Accounts: map[string]facts.Account{account.Account: test.now}}})
		if got.Needed() || (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %q %v, want the error %q", test.name, got.Sentence, err, test.want)
		}
	}
}

// TestRemotePasswordIsHashedForMariaDB: MariaDB logs statements as they are.
func TestRemotePasswordIsHashedForMariaDB(t *testing.T) {
	account := Account{Account: "m@h", Remote: true, Password: secret.New("hunter2")}
	for version, wantsPlain := range map[string]bool{"10.11.6-MariaDB-0+deb12u1": false, "11.4.2-MariaDB-log": false, "8.0.35": true} {
		statement := account.identify(facts.Server{Database: facts.Database{Version: version}})
		if strings.Contains(statement, "hunter2") != wantsPlain || !strings.HasSuffix(statement, " REQUIRE SSL") {
			t.Errorf("%s: %s", version, statement)
		}
	}
}
