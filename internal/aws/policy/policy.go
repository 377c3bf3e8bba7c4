// Package policy writes the smallest IAM policies with which rocca can do its
// jobs. What rocca itself calls is read from its own source (calls.txt), what
// CloudFormation calls on behalf of its caller from the schemas of the types
// that the templates use (resources.txt).
package policy

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Job is what somebody does with rocca on AWS.
type Job string

// The jobs. Each is a set of verbs, and of the packages behind them.
const (
	Deploy  Job = "deploy"  // plan, deploy, destroy, and all that looks
	Audit   Job = "audit"   // what looks and changes nothing
	Account Job = "account" // settings of the whole account
	Login   Job = "login"   // the password of the first login: it reads the secret
	Rotate  Job = "rotate"  // new passwords: it reads the secret, and writes the next
	Respond Job = "respond" // an incident: containment, evidence, and rotation
)

// Jobs lists the jobs that have a policy.
func Jobs() []Job { return []Job{Deploy, Audit, Account, Login, Rotate, Respond} }

// Scope is what a policy is limited to.
type Scope struct {
	Deployment string   // its name
	Region     string   //
	Account    string   // twelve digits; empty: whichever account the policy is put in
	Zone       string   // id of the Route 53 hosted zone; empty: any
	Types      []string // of resources in the templates, such as AWS::EC2::VPC; only Deploy needs them
}

// MostCharacters of a managed policy, blanks not counted.
const MostCharacters = 6144

// Document is one IAM policy. All documents of a job are attached together.
type Document struct {
	Name       string // such as rocca-shop-deploy-1
	Statements []Statement
}

// Statement allows actions on resources.
type Statement struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  []string
	Condition Condition `json:",omitempty"`
}

// Condition is an operator, a key and its values.
type Condition map[string]map[string][]string

// JSON is the document as IAM takes it, indented for people.
func (d Document) JSON() []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(struct {
		Version   string
		Statement []Statement
	}{"2012-10-17", d.Statements}) // strings always can be
	return out.Bytes()
}

// Characters counts as IAM does.
func (d Document) Characters() int {
	n := 0
	for _, r := range string(d.JSON()) {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// For writes the policies that a job needs. They are several when one would be
// longer than IAM allows.
func For(job Job, s Scope) ([]Document, error) {
	if !slices.Contains(Jobs(), job) {
		return nil, fmt.Errorf("write the policy for %q: there is no such job", job)
	}
	if s.Deployment == "" || s.Region == "" {
		return nil, errors.New("write the policy: neither deployment nor region may be empty")
	}
	needed := map[string]bool{}
	for _, action := range calls()[job] {
		needed[action] = true
	}
	if job == Deploy {
		table := resources()
		for _, name := range s.Types {
			actions, known := table[name]
			if !known {
				return nil, fmt.Errorf("write the policy: nobody has said what %s needs\nhint: add it to internal/aws/policy/resources.txt", name)
			}
			for _, action := range actions {
				needed[action] = true
			}
		}
	}
	return pack("rocca-"+s.Deployment+"-"+string(job), statements(job, slices.Sorted(maps.Keys(needed)), s)), nil
}

// statements puts each action where it is limited, see limits.
func statements(job Job, actions []string, s Scope) []Statement {
	fill := strings.NewReplacer("{name}", s.Deployment, "{region}", s.Region, "{account}", orAny(s.Account), "{zone}", orAny(s.Zone))
	var all []Statement
	named := map[string]bool{}
	for _, l := range limits() {
		if l.only != "" && l.only != job || job == Audit && l.only == "" && !l.reads {
			continue
		}
		statement := Statement{Sid: l.sid, Effect: "Allow", Resource: filled(fill, l.on), Condition: l.when.filled(fill)}
		for _, action := range actions {
			if l.names(action) && !(l.rest && named[action]) {
				statement.Action = append(statement.Action, action)
				named[action] = true
			}
		}
		if len(statement.Action) > 0 {
			all = append(all, statement)
		}
	}
	return all
}

func (c Condition) filled(fill *strings.Replacer) Condition {
	done := Condition{}
	for operator, keys := range c {
		done[operator] = map[string][]string{}
		for key, values := range keys {
			done[operator][key] = filled(fill, values)
		}
	}
	return done
}

func filled(fill *strings.Replacer, texts []string) []string {
	done := make([]string, len(texts))
	for i, text := range texts {
		done[i] = fill.Replace(text)
	}
	return done
}

func orAny(value string) string {
	if value == "" {
		return "*"
	}
	return value
}

// pack puts each statement into the first document that has room for it.
func pack(name string, statements []Statement) []Document {
	var documents []Document
	for _, statement := range statements {
		for _, piece := range split(statement) {
			room := slices.IndexFunc(documents, func(d Document) bool { return fits(append(slices.Clone(d.Statements), piece)) })
			if room < 0 {
				documents = append(documents, Document{})
				room = len(documents) - 1
			}
			documents[room].Statements = append(documents[room].Statements, piece)
		}
	}
	for i := range documents {
		documents[i].Name = name
		if len(documents) > 1 {
			documents[i].Name += "-" + strconv.Itoa(i+1)
		}
	}
	return documents
}

// split makes several of a statement that is longer than a document.
func split(whole Statement) []Statement {
	var pieces []Statement
	for rest := whole.Action; len(rest) > 0; {
		piece := whole
		if len(pieces) > 0 {
			piece.Sid += strconv.Itoa(len(pieces) + 1)
		}
		n := len(rest)
		for piece.Action = rest; n > 1 && !fits([]Statement{piece}); n-- {
			piece.Action = rest[:n-1]
		}
		pieces, rest = append(pieces, piece), rest[len(piece.Action):]
	}
	return pieces
}

func fits(statements []Statement) bool {
	return Document{Statements: statements}.Characters() <= MostCharacters
}

//go:embed calls.txt
var callsText string

// calls are the actions that rocca's own calls need, by job.
func calls() map[Job][]string {
	table := map[Job][]string{}
	for line := range lines(callsText) {
		fields := strings.Fields(line)
		table[Job(fields[0])] = append(table[Job(fields[0])], fields[1])
	}
	return table
}

//go:embed resources.txt
var resourcesText string

// resources are the actions that CloudFormation needs of its caller, by type.
func resources() map[string][]string {
	table := map[string][]string{}
	name := ""
	for line := range lines(resourcesText) {
		if action, isAction := strings.CutPrefix(line, "\t"); isAction {
			table[name] = append(table[name], action)
			continue
		}
		name = line
		table[name] = nil
	}
	return table
}

// lines walks through a table, without its comments and blank lines.
func lines(text string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(text) {
			line = strings.TrimRight(line, "\n")
			if line != "" && !strings.HasPrefix(line, "#") && !yield(line) {
				return
			}
		}
	}
}
