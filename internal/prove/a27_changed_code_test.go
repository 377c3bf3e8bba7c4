package prove

import (
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

func TestFitManifest(t *testing.T) {
	content := []byte("<?php // changed\n")
	const others = "\t\t\"core/CommonX.php\" => array(\"1\", \"ab\"),\n\t\t\"index.php\" => array(\"2\", \"cd\"),\n"
	for hash, want := range map[string]string{
		strings.Repeat("0", 64): fmt.Sprintf("%x", sha256.Sum256(content)),
		strings.Repeat("0", 32): fmt.Sprintf("%x", md5.Sum(content)),
	} {
		before := others + "\t\t\"core/Common.php\" => array(\"9\", \"" + hash + "\"),\n"
		after := others + fmt.Sprintf("\t\t\"core/Common.php\" => array(\"%d\", \"%s\"),\n", len(content), want)
		if got := string(fitManifest([]byte(before), "core/Common.php", content)); got != after {
			t.Errorf("got\n%s\nnot\n%s", got, after)
		}
	}
}

func TestSeenIn(t *testing.T) {
	report := model.Report{Findings: []model.Finding{
		{ID: "FS-11", Status: model.Fail, Evidence: []model.Evidence{{Subject: "/code/core/Common.php"}, {Subject: "/code/waived.php", Waived: true}}},
		{ID: "FS-12", Status: model.Fail, Evidence: []model.Evidence{{Subject: "/code/folder/"}}},
		{ID: "FS-07", Status: model.Pass, Evidence: []model.Evidence{{Subject: "/tmp/x.php"}}},
		{ID: "TRK-06", Status: model.Fail, Evidence: []model.Evidence{{Subject: "https://example.org/matomo.js"}}},
	}}
	for name, want := range map[string]string{
		"/code/core/Common.php":  "FS-11",
		"/code/core/Common.phpx": "",
		"/code/waived.php":       "",
		"/code/folder/a/b.php":   "FS-12",
		"/tmp/x.php":             "",
		"/scripts/matomo.js":     "TRK-06",
		"/scripts/matomo.js.gz":  "",
	} {
		if got, more := seenIn(report, name); got != want || more {
			t.Errorf("%s: seen by %q, not %q (more: %v)", name, got, want, more)
		}
	}
	report.Findings[1].Evidence = append(report.Findings[1].Evidence, model.Evidence{Subject: "and 7 more"})
	if _, more := seenIn(report, "/code/unseen.php"); !more {
		t.Error("that the report is cut was not seen")
	}
}

func TestWhoLooks(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	server := func(change func(timer, service *facts.Unit)) facts.Server {
		timer := facts.Unit{Active: true, Enabled: true, Timer: facts.Timer{Triggers: "look.service", Next: now.Add(7 * time.Hour)}}
		service := facts.Unit{Runs: facts.Runs{Exec: []facts.Exec{{Path: "/usr/bin/rocca", Args: []string{"audit", "-o", "/report"}}}}}
		change(&timer, &service)
		return facts.Server{Units: map[string]facts.Unit{"look.timer": timer, "look.service": service}}
	}
	for _, test := range []struct {
		what, seen string
		change     func(timer, service *facts.Unit)
		late       bool
		answer     string
	}{
		{"as it should be", "FS-11", func(_, _ *facts.Unit) {}, false, "an audit sees it (FS-11); look.timer looks next in 7 h and writes /report"},
		{"the audit is blind", "", func(_, _ *facts.Unit) {}, true, "an audit does not see it, and look.timer looks in vain"},
		{"stopped", "FS-11", func(timer, _ *facts.Unit) { timer.Active = false }, true, "an audit sees it (FS-11), but look.timer is stopped"},
		{"gone after a restart", "FS-11", func(timer, _ *facts.Unit) { timer.Enabled = false }, true, "an audit sees it (FS-11), but look.timer does not start with the machine"},
		{"broken", "FS-11", func(_, service *facts.Unit) { service.Failed = true }, true, "an audit sees it (FS-11), but look.service failed when it last ran"},
		{"weekly", "FS-11", func(timer, _ *facts.Unit) { timer.Next = now.Add(27 * time.Hour) }, true, "an audit sees it (FS-11), but look.timer does not look within 26 hours"},
		{"never", "FS-11", func(timer, _ *facts.Unit) { timer.Next = time.Time{} }, true, "an audit sees it (FS-11), but look.timer does not look within 26 hours"},
		{"another program", "FS-11", func(_, service *facts.Unit) { service.Exec[0].Path = "/usr/bin/other" }, true, "an audit sees it (FS-11), but no timer audits this server"},
	} {
		if answer, late := watchOf(server(test.change)).told(test.seen, now); answer != test.answer || late != test.late {
			t.Errorf("%s: %q, %v", test.what, answer, late)
		}
	}
	if w := watchOf(facts.Server{Units: map[string]facts.Unit{"dailyaidecheck.timer": {Active: true}}}); len(w.others) != 1 {
		t.Errorf("AIDE was not seen: %v", w.others)
	}
}
