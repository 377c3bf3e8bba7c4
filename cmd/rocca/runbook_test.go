package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	cloud "rocca/internal/aws/respond"
	"rocca/internal/incident"
	"rocca/internal/respond"
)

// books are what rocca can respond to.
func books() []incident.Playbook {
	return []incident.Playbook{
		{
			Title: "A server of your own", When: "Matomo runs on a server that is not an instance of AWS",
			Begin: []string{"sudo rocca respond start --dry-run", "sudo rocca respond start --reason 'WHAT YOU SAW' --known 'YYYY-MM-DD HH:MM'", "sudo rocca respond status"},
			Steps: respond.Steps(nil), Release: respond.Release(nil),
		},
		{
			Title: "An instance of AWS", When: "Matomo runs on AWS, set up by rocca aws deploy",
			Begin: []string{"rocca aws respond start --instance INSTANCE --dry-run", "rocca aws respond start --instance INSTANCE", "rocca aws respond status"},
			Steps: cloud.Steps(nil), Release: cloud.Release(nil),
		},
	}
}

// TestRunbook compares docs/runbook.md with the steps that rocca runs.
func TestRunbook(t *testing.T) {
	const kept = "../../docs/runbook.md"
	made := incident.Runbook(books())
	if *update {
		if err := os.WriteFile(kept, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, string(text)); diff != "" {
		t.Errorf("docs/runbook.md is not what the steps say; make docs writes it anew\n%s", diff)
	}
}

// TestStepsAreTold sees that a reader of the runbook finds all of a step.
func TestStepsAreTold(t *testing.T) {
	for _, book := range books() {
		steps := slices.Concat(book.Steps, book.Release)
		seen := map[string]bool{}
		phases := map[incident.Phase]bool{}
		for _, s := range steps {
			if seen[s.ID] {
				t.Errorf("%s: two steps are called %s", book.Title, s.ID)
			}
			for _, after := range s.After {
				if !seen[after] {
					t.Errorf("%s: %s comes after %s, which comes later or never", book.Title, s.ID, after)
				}
			}
			seen[s.ID], phases[s.Phase] = true, true
			if s.Title == "" || len(s.Why) < 20 || !slices.Contains(incident.Phases(), s.Phase) || s.Plan == nil {
				t.Errorf("%s: %s lacks a title, a reason, a phase or a plan", book.Title, s.ID)
			}
		}
		for _, phase := range incident.Phases() {
			// On AWS what an intruder left goes with the instance.
			if !phases[phase] && phase != incident.Eradicate {
				t.Errorf("%s: no step is of the phase %s", book.Title, phase)
			}
		}
	}
}

// TestRunbookNamesCommandsThatAreThere runs no command, but sees that each verb
// of rocca that the runbook names is one.
func TestRunbookNamesCommandsThatAreThere(t *testing.T) {
	root := newRootCommand()
	for _, match := range regexp.MustCompile("rocca((?: [a-z]+)+)").FindAllStringSubmatch(incident.Runbook(books()), -1) {
		// A sentence goes on behind a command: what groups others must be
		// followed by one of them.
		cmd, rest, err := root.Find(strings.Fields(match[1]))
		verb := strings.Fields(match[1])[0]
		if slices.Contains([]string{"respond", "rotate", "audit", "prove", "aws", "host"}, verb) && (err != nil || cmd == root || cmd.HasSubCommands() && len(rest) > 0) {
			t.Errorf("rocca%s is no command", match[1])
		}
	}
}
