// Package control is the catalogue of what must be true of a server: one file
// for each control, each a pure function of facts. It sees nothing itself.
//
// A control that could not see what it needs is unknown, never pass. A bad
// state is fail, never an error.
package control

import (
	"fmt"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/reach"
)

// Control is one statement that must be true.
type Control struct {
	ID       string // "FS-04"
	Title    string // the sentence that is true when it passes
	Why      string // what an attacker does where it is not true, in a few sentences
	Severity model.Severity
	Needs    []facts.Section // what it must have seen; it is unknown without
	Eval     func(*View) Verdict
	Fix      Fix
	Attack   string // ids of the attacks that prove it, such as "A06" or "A12 A20"; "all"; empty: read only
	Maps     []model.Ref
	Since    string // version of rocca
}

// Area is the part of the id before the dash: "FS".
func (c Control) Area() string {
	area, _, _ := strings.Cut(c.ID, "-")
	return area
}

// Cloud tells whether it is about a deployment in AWS, and not about a server.
func (c Control) Cloud() bool { return c.Area() == "AWS" }

// Fix is how a finding is put right.
type Fix struct {
	Kind model.FixKind
	Text string // what to do, in words that hold on any server
	// Steps are the steps of rocca's own server that do it: names, in which "*"
	// stands for anything, such as "directory */tmp".
	Steps []string
	// Changes are the exact changes on a server that is not rocca's, for what
	// was found there; nil when they cannot be told from facts.
	Changes func(*View) []Change
}

// Change is one exact change of a server that rocca did not set up.
type Change struct {
	Sentence string `json:"sentence"` // "make /x readable by root only"
	Command  string `json:"command"`  // what an administrator would type
	// Attr, when set, is the same change as data, which rocca can make and take
	// back: the path, and its owner, group and mode.
	Attr *Attr `json:"attr,omitempty"`
}

// Attr is who owns a path and who may do what with it.
type Attr struct {
	Path  string `json:"path"`
	Owner string `json:"owner"`
	Group string `json:"group"`
	Mode  uint32 `json:"mode"`
}

// View is what a control looks at.
type View struct {
	facts.Server
	Reach *reach.Graph
}

// Verdict is what a control came to.
type Verdict struct {
	Status   model.Status
	Reason   string // of unknown and na: what was missing, or what is not there
	Evidence []model.Evidence
}

func pass(evidence ...model.Evidence) Verdict {
	return Verdict{Status: model.Pass, Evidence: evidence}
}

func fail(evidence ...model.Evidence) Verdict {
	return Verdict{Status: model.Fail, Evidence: evidence}
}

// unless passes when there is no evidence against, and fails with it otherwise,
// all of it and in its order.
func unless(against []model.Evidence) Verdict {
	if len(against) == 0 {
		return pass()
	}
	return fail(against...)
}

// conclude fails on what speaks against it, sorted and cut, is unknown where
// something could not be read, and passes otherwise.
func conclude(against []model.Evidence, unread []string) Verdict {
	switch {
	case len(against) > 0:
		return fail(capped(against)...)
	case len(unread) > 0:
		return unknown(strings.Join(unread, "; "))
	}
	return pass()
}

// blind tells which sections were not seen, and why: those that a control needs,
// or that it can fail without but not pass.
func blind(v *View, sections ...facts.Section) []string {
	var unread []string
	for _, section := range sections {
		if why := v.Unseen(section); why != "" {
			unread = append(unread, fmt.Sprintf("could not see %s: %s", section, why))
		}
	}
	return unread
}

func notApplicable(reason string) Verdict { return Verdict{Status: model.NA, Reason: reason} }

func unknown(reason string) Verdict { return Verdict{Status: model.Unknown, Reason: reason} }

// automatic is a fix that rocca makes on its own servers by these steps.
func automatic(text string, steps ...string) Fix {
	return Fix{Kind: model.FixAutomatic, Text: text, Steps: steps}
}

// guided is a fix that needs a decision of the owner.
func guided(text string) Fix { return Fix{Kind: model.FixGuided, Text: text} }

// Short forms of the references.
func debian(item string) model.Ref  { return model.Ref{Scheme: "CIS Debian 12", Item: item} }
func nginx(item string) model.Ref   { return model.Ref{Scheme: "CIS NGINX", Item: item} }
func apache(item string) model.Ref  { return model.Ref{Scheme: "CIS Apache", Item: item} }
func mariadb(item string) model.Ref { return model.Ref{Scheme: "CIS MariaDB", Item: item} }
func asvs(item string) model.Ref    { return model.Ref{Scheme: "ASVS 5.0", Item: item} }
func devsec(item string) model.Ref  { return model.Ref{Scheme: "dev-sec", Item: item} }
func gdpr(item string) model.Ref    { return model.Ref{Scheme: "GDPR", Item: item} }
func fsbp(item string) model.Ref    { return model.Ref{Scheme: "AWS FSBP", Item: item} }
func cisAWS(item string) model.Ref  { return model.Ref{Scheme: "CIS AWS 7.0", Item: item} }
func s1(item string) model.Ref      { return model.Ref{Scheme: "S1", Item: item} }

// row is a line of the guide's checklist, 1 to 10.
func row(number string) model.Ref { return model.Ref{Scheme: "S1 checklist", Item: number} }

func s2(item string) model.Ref     { return model.Ref{Scheme: "S2", Item: item} }
func matomo(item string) model.Ref { return model.Ref{Scheme: "Matomo", Item: item} }
