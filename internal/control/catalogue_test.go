package control

import (
	"os"
	"path/filepath"
	"testing"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/reach"
)

// Each control has testdata/ID/pass.json and fail.json: facts that it passes
// and fails on. Further files there are named by their status, and what they
// show: "na-no-ssh.json", "fail-acl.json", "unknown-no-database.json".
func TestEveryControlPassesAndFails(t *testing.T) {
	for _, c := range All() {
		t.Run(c.ID, func(t *testing.T) {
			for _, needed := range []string{"pass.json", "fail.json"} {
				if _, err := os.Stat(filepath.Join("testdata", c.ID, needed)); err != nil {
					t.Errorf("%s needs facts that show how it passes and how it fails: %v", c.ID, err)
				}
			}
			files, err := filepath.Glob(filepath.Join("testdata", c.ID, "*.json"))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range files {
				want := wanted(filepath.Base(name))
				server := read(t, name)
				got := c.Eval(&View{Server: server, Reach: reach.New(server)})
				if got.Status != want {
					t.Errorf("%s: got %s (%s) %v, want %s", name, got.Status, got.Reason, got.Evidence, want)
				}
				if got.Status == model.Fail && len(got.Evidence) == 0 {
					t.Errorf("%s: fails without evidence", name)
				}
				if (got.Status == model.Unknown || got.Status == model.NA) && got.Reason == "" {
					t.Errorf("%s: is %s without a reason", name, got.Status)
				}
			}
		})
	}
}

// wanted reads the status from the name of a file: up to the first dash.
func wanted(name string) model.Status {
	for _, status := range []model.Status{model.Pass, model.Fail, model.Unknown, model.NA} {
		if len(name) > len(status) && name[:len(status)] == string(status) {
			return status
		}
	}
	return ""
}

// read reads facts of a test.
func read(t *testing.T, name string) facts.Server {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	server, err := facts.Decode(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return server
}
