package document

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Document is a parsed file. What is wrong with it is collected until Judge, so
// that all is reported at once.
type Document struct {
	file      string
	root      ast.Node            // nil when the file is empty or cannot be parsed
	positions map[string]position // of every key and entry that was set
	problems  []Problem
	warnings  []Problem
}

type position struct{ line, column int }

// Parse reads the YAML of a file. An empty text is an empty document.
func Parse(file string, text []byte) *Document {
	d := &Document{file: file, positions: map[string]position{}}
	d.root = d.parse(text)
	return d
}

// File is the name of the file, "" when there was none.
func (d *Document) File() string { return d.file }

// Warnings lists what was accepted but the owner of the file should know.
func (d *Document) Warnings() []Problem { return slices.Clone(d.warnings) }

// Warn adds a warning, at the place of its key.
func (d *Document) Warn(p Problem) { d.warnings = append(d.warnings, d.locate(p)) }

// Sets tells whether the file sets a key such as "database.host".
func (d *Document) Sets(path string) bool {
	_, set := d.positions[path]
	return set
}

// Origin says where the value of a key comes from: "file:line" or "default".
func (d *Document) Origin(path string) string {
	if where, set := d.positions[path]; set {
		return fmt.Sprintf("%s:%d", d.file, where.line)
	}
	return "default"
}

// Decode fills a struct from a section of the document, such as
// "context.matomo", or "" for all of it, and tells whether the section is
// there. The keys of Problems and of Sets begin with the section. A struct that
// Decode does not touch keeps its values: they are the defaults.
func (d *Document) Decode(section string, schema Schema, into any) bool {
	to, node := reflect.ValueOf(into).Elem(), d.root
	if node == nil {
		return false
	}
	where, path := position{1, 1}, ""
	for _, name := range strings.FieldsFunc(section, func(r rune) bool { return r == '.' }) {
		path = join(path, name)
		if node, where = find(node, name); node == nil {
			return false
		}
		d.positions[path] = where
	}
	(&decoder{Document: d, schema: schema, base: section}).value(node, to, section, where)
	return true
}

// find returns the value of a key and where the key stands.
func find(node ast.Node, name string) (ast.Node, position) {
	mapping, ok := node.(ast.MapNode)
	if !ok {
		return nil, position{}
	}
	for entry := mapping.MapRange(); entry.Next(); {
		if key, ok := entry.Key().(*ast.StringNode); ok && key.Value == name {
			return entry.Value(), at(key)
		}
	}
	return nil, position{}
}

// Judge returns an *Error with the problems of the document and those found of
// its values, in the order of the file, or nil when there is none. What could
// not be read, a key or all of it, is not judged as well.
func (d *Document) Judge(found []Problem) error {
	nothingRead := len(d.positions) == 0 || len(d.positions) == 1 && d.Sets("")
	if len(d.problems) > 0 && nothingRead {
		found = nil
	}
	found = slices.DeleteFunc(slices.Clone(found), func(p Problem) bool {
		return slices.ContainsFunc(d.problems, func(bad Problem) bool { return related(p.Key, bad.Key) })
	})
	problems := append(slices.Clone(d.problems), d.Locate(found)...)
	if len(problems) == 0 {
		return nil
	}
	sortProblems(problems)
	return &Error{Problems: problems}
}

// Locate adds to problems where their keys, or what holds them, were set, and
// puts them in the order of the file.
func (d *Document) Locate(found []Problem) []Problem {
	var problems []Problem
	for _, p := range found {
		problems = append(problems, d.locate(p))
	}
	sortProblems(problems)
	return problems
}

func (d *Document) locate(p Problem) Problem {
	p.File = d.file
	for path := p.Key; path != ""; path = parent(path) {
		if where, set := d.positions[path]; set {
			p.Line, p.Column = where.line, where.column
			break
		}
	}
	return p
}

// related tells whether one key is the other or holds it: a problem with one
// makes a second one with the other likely to be the same mistake.
func related(a, b string) bool {
	return a == b || beneath(a, b) || beneath(b, a)
}

func beneath(path, section string) bool {
	rest, found := strings.CutPrefix(path, section)
	return found && section != "" && rest != "" && strings.ContainsRune(".[", rune(rest[0]))
}

func (d *Document) report(where position, path, hint, format string, args ...any) {
	d.problems = append(d.problems, Problem{
		File: d.file, Line: where.line, Column: where.column,
		Key: path, Text: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// parse returns what stands at the top, nil for an empty file or when it is no
// YAML.
func (d *Document) parse(text []byte) ast.Node {
	if where, bad := unprintable(text); bad != "" {
		d.report(where, "", "", "holds %s, which is not text", bad)
		return nil
	}
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var syntax yaml.Error
		if !errors.As(err, &syntax) || syntax.GetToken() == nil {
			d.report(position{}, "", "", "is not YAML: %v", err)
			return nil
		}
		at := syntax.GetToken().Position
		// Of what controls a terminal, the message can only hold these.
		message := strings.NewReplacer("\t", `\t`, "\r", `\r`).Replace(syntax.GetMessage())
		d.report(position{at.Line, at.Column}, "", "", "is not YAML: %s", message)
		return nil
	}
	var root ast.Node
	for _, document := range file.Docs {
		switch {
		case document.Body == nil:
		case root != nil || document.Body.Type() == ast.DirectiveType:
			d.report(at(document.Body), "", "leave out the lines that begin with --- or %", "holds more than one YAML document, or a directive")
			return nil
		default:
			root = document.Body
		}
	}
	return root
}

// unprintable finds the first character that YAML does not allow.
func unprintable(text []byte) (position, string) {
	where := position{1, 1}
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			return where, fmt.Sprintf("the byte %#02x", text[0])
		case r == '\n':
			where = position{where.line + 1, 0}
		case unicode.IsControl(r) && r != '\t' && r != '\r':
			return where, fmt.Sprintf("the control character %U", r)
		}
		where.column++
		text = text[size:]
	}
	return where, ""
}
