package settings

import (
	"encoding/json"
	"errors"
	"os"
	"strings"

	"rocca/internal/document"
)

// Option loosens what Load refuses.
type Option int

// AcceptWorldSSH lets network.ssh name everybody.
const AcceptWorldSSH Option = 1

// Load reads rocca-aws.yaml, or cdk.json with the context "matomo" or "rocca",
// and fills in the defaults of the profile. The error is a *document.Error with
// every problem of the file.
func Load(path string, options ...Option) (Settings, error) {
	text, err := read(path)
	if err != nil {
		return Settings{}, err
	}
	return parse(path, text, options...)
}

func read(path string) ([]byte, error) {
	text, err := document.Read(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, document.Failed(document.Problem{File: path, Text: "no such file", Hint: "rocca aws init writes one; -c names another"})
	}
	return text, err
}

func parse(path string, text []byte, options ...Option) (Settings, error) {
	if isCDK(path, text) {
		return parseCDK(path, text, options...)
	}
	// The profile, the kind of database and the region decide the defaults.
	var first Settings
	document.Parse(path, text).Decode("", schema(), &first)
	s := Defaults(first.Profile, first.Database.Kind, first.Region)
	d := document.Parse(path, text)
	d.Decode("", schema(), &s)
	if err := d.Judge(s.Problems(options...)); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// isCDK tells whether a file is the cdk.json of an app.
func isCDK(path string, text []byte) bool {
	var app struct {
		Context struct{ Matomo, Rocca json.RawMessage }
	}
	return strings.HasSuffix(path, ".json") || json.Unmarshal(text, &app) == nil && (app.Context.Matomo != nil || app.Context.Rocca != nil)
}
