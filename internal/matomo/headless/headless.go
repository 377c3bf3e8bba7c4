// Package headless installs and inspects Matomo without a web server: a PHP
// script that runs over the release's own classes, and the two documents it
// is spoken to in. The script runs as the PHP user that owns the migration
// account; a Request goes in on stdin, an Answer comes out on stdout.
package headless

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"rocca/internal/secret"
)

// Script is the PHP program. It needs no argument, and of its environment only
// MATOMO_DATA, which the release's bootstrap.php reads.
//
//go:embed headless.php
var Script []byte

// Action is what the script is asked to do.
type Action string

// The actions. State only looks. Install does what State calls missing and may
// be killed and run again at any point, as long as config.ini.php is written
// anew before each run. Password sets a new password for a login.
const (
	State    Action = "state"
	Install  Action = "install"
	Password Action = "password"
)

// Request is the document for stdin. State needs Root only, Password also the
// login and password of the Superuser, Install everything.
type Request struct {
	Action        Action
	Root          string // real path of the release, no link in it
	URL           string // public address of Matomo, with the final slash
	MaskedIPBytes int    // how many bytes of a visitor's address are dropped, 0 to 4
	Superuser     Superuser
	Site          Site
}

// Superuser is the first login.
type Superuser struct {
	Login    string
	Password secret.Secret // 6 to 200 characters
	Email    string
	Language string // code of one of the release's translations
}

// Site is the first site to track. Its Timezone and Currency also become the
// defaults for further sites.
type Site struct {
	Name     string
	URL      string
	Timezone string // IANA name
	Currency string // ISO 4217 code
}

// The request as the script reads it.
type (
	wireRequest struct {
		Action        Action         `json:"action"`
		Root          string         `json:"root"`
		URL           string         `json:"url,omitempty"`
		MaskedIPBytes *int           `json:"masked_ip_bytes,omitempty"`
		Superuser     *wireSuperuser `json:"superuser,omitempty"`
		Site          *wireSite      `json:"site,omitempty"`
	}
	wireSuperuser struct {
		Login    string `json:"login"`
		Password string `json:"password"`
		Email    string `json:"email,omitempty"`
		Language string `json:"language,omitempty"`
	}
	wireSite struct {
		Name     string `json:"name"`
		URL      string `json:"url"`
		Timezone string `json:"timezone"`
		Currency string `json:"currency"`
	}
)

// Encode checks the request and returns the document for stdin. It holds the
// password: hand it to the script and to nothing else.
func (r Request) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("headless %s: %w", r.Action, err)
	}
	wire := wireRequest{Action: r.Action, Root: r.Root}
	if r.Action != State {
		wire.Superuser = &wireSuperuser{Login: r.Superuser.Login, Password: r.Superuser.Password.Reveal()}
	}
	if r.Action == Install {
		wire.URL, wire.MaskedIPBytes = r.URL, &r.MaskedIPBytes
		wire.Superuser.Email, wire.Superuser.Language = r.Superuser.Email, r.Superuser.Language
		site := wireSite(r.Site)
		wire.Site = &site
	}
	return json.Marshal(wire)
}

func (r Request) check() error {
	if !slices.Contains([]Action{State, Install, Password}, r.Action) {
		return errors.New("unknown action")
	}
	if !filepath.IsAbs(r.Root) || filepath.Clean(r.Root) != r.Root {
		return fmt.Errorf("root %q is not an absolute, clean path", r.Root)
	}
	if r.Action == State {
		return nil
	}
	if err := checkPassword(r.Superuser.Password); err != nil {
		return err
	}
	needed := []struct{ name, value string }{{"superuser login", r.Superuser.Login}}
	if r.Action == Install {
		if r.MaskedIPBytes < 0 || r.MaskedIPBytes > 4 {
			return fmt.Errorf("masked IP bytes are %d, want 0 to 4", r.MaskedIPBytes)
		}
		needed = append(needed, []struct{ name, value string }{
			{"url", r.URL}, {"superuser email", r.Superuser.Email}, {"superuser language", r.Superuser.Language},
			{"site name", r.Site.Name}, {"site url", r.Site.URL},
			{"site timezone", r.Site.Timezone}, {"site currency", r.Site.Currency},
		}...)
	}
	for _, field := range needed {
		if field.value == "" || !utf8.ValidString(field.value) {
			return fmt.Errorf("%s %q is empty or not UTF-8", field.name, field.value)
		}
	}
	return nil
}

// checkPassword holds a password to what Matomo accepts, and to what reaches it
// unchanged.
func checkPassword(password secret.Secret) error {
	text := password.Reveal()
	if n := utf8.RuneCountInString(text); n < 6 || n > 200 {
		return fmt.Errorf("the password has %d characters, want 6 to 200", n)
	}
	for _, r := range text {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return errors.New("the password holds a control character or is not UTF-8")
		}
	}
	return nil
}

// Answer is what the script found after it did its work.
type Answer struct {
	Steps            []Step     `json:"steps"`             // of Install and Password, in order
	CodeVersion      string     `json:"code_version"`      // of the release
	DatabaseVersion  string     `json:"database_version"`  // that the database was brought to; empty when not installed
	Tables           []string   `json:"tables"`            // with their prefix
	Superusers       []string   `json:"superusers"`        // logins
	Sites            int        `json:"sites"`             // how many
	PluginsInstalled []string   `json:"plugins_installed"` // what belongs into [PluginsInstalled] of config.ini.php
	PluginsActivated []string   `json:"plugins_activated"` // what is loaded: [Plugins] of the configuration and those that cannot be off
	Missing          []string   `json:"missing"`           // names of the install steps that are not done, in order
	Outdated         []Outdated `json:"outdated"`          // what an upgrade has to bring up to date
}

// Step is one part of an installation.
type Step struct {
	Name         string  `json:"name"`
	Changed      bool    `json:"changed"` // false: it was done before
	Milliseconds float64 `json:"ms"`
}

// StepSuperuser creates the first login. When it Changed, the password of the
// request is the one in force.
const StepSuperuser = "superuser"

// Outdated is "core" or a plugin whose tables are older than its code.
type Outdated struct {
	Name     string `json:"name"`
	Database string `json:"database"` // version
	Code     string `json:"code"`     // version
}

// Elapsed is how long the step took.
func (s Step) Elapsed() time.Duration {
	return time.Duration(s.Milliseconds * float64(time.Millisecond))
}

// Installed tells whether every part of an installation is there.
func (a Answer) Installed() bool { return len(a.Missing) == 0 }

// Changed tells whether the step named did anything in this run.
func (a Answer) Changed(step string) bool {
	return slices.ContainsFunc(a.Steps, func(s Step) bool { return s.Name == step && s.Changed })
}

// ScriptError is a failure that the script itself reports.
type ScriptError struct{ Message string }

// Error implements error.
func (e *ScriptError) Error() string { return "matomo: " + e.Message }

// answerLimit caps the document on stdout, in bytes. A real one has about 6 kB.
const answerLimit = 256 << 10

// Decode reads the document that the script wrote to stdout. The error is a
// *ScriptError when the script could say what went wrong; any other error means
// that the document is not one of the script.
func Decode(stdout io.Reader) (Answer, error) {
	text, err := io.ReadAll(io.LimitReader(stdout, answerLimit+1))
	if err != nil {
		return Answer{}, fmt.Errorf("read the headless answer: %w", err)
	}
	if len(text) > answerLimit {
		return Answer{}, fmt.Errorf("read the headless answer: longer than %d bytes", answerLimit)
	}
	var document struct {
		Error *string `json:"error"`
		Answer
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&document); err != nil {
		return Answer{}, fmt.Errorf("decode the headless answer: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Answer{}, errors.New("decode the headless answer: text after the document")
	}
	if document.Error != nil {
		return Answer{}, &ScriptError{Message: *document.Error}
	}
	if document.CodeVersion == "" {
		return Answer{}, errors.New("decode the headless answer: no code_version")
	}
	return document.Answer, nil
}
