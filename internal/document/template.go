package document

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
)

// Template returns a file to start from: every key with what it means, an
// example and the value that it has in a struct. Keys are commented out, with a
// # that only needs to be removed, but those that set names.
func (s Schema) Template(of any, set func(path string) bool) []byte {
	var b bytes.Buffer
	s.writeTemplate(&b, reflect.ValueOf(of), "", "", set)
	return b.Bytes()
}

func (s Schema) writeTemplate(b *bytes.Buffer, section reflect.Value, path, indent string, set func(string) bool) {
	for _, f := range fields(section.Type()) {
		value, at := section.Field(f.index), join(path, f.name)
		k, _ := s.describe(at)
		b.WriteString("#\n")
		prose(b, "#"+indent+" ", k.About)
		if isSection(value.Type()) {
			fmt.Fprintf(b, "%s%s%s:\n", mark(anySet(value.Type(), at, set)), indent, f.name)
			s.writeTemplate(b, value, at, indent+"  ", set)
			continue
		}
		if k.Example != "" {
			fmt.Fprintf(b, "#%s Example: %s\n", indent, k.Example)
		}
		if isEntries(value.Type()) {
			for _, entry := range fields(value.Type().Elem()) {
				about, _ := s.describe(join(at, entry.name))
				prose(b, "#   ", entry.name+": "+about.About)
			}
		}
		fmt.Fprintf(b, "%s%s%s: %s\n", mark(set(at)), indent, f.name, inline(value))
	}
}

// mark begins the line of a key.
func mark(set bool) string {
	if set {
		return ""
	}
	return "#"
}

func anySet(section reflect.Type, path string, set func(string) bool) bool {
	for _, name := range Paths(section) {
		if set(join(path, name)) {
			return true
		}
	}
	return false
}

// prose writes sentences in lines of at most 80 characters, each after a lead.
func prose(b *bytes.Buffer, lead, sentences string) {
	line := lead
	for _, word := range strings.Fields(sentences) {
		if line != lead && len(line)+len(word) > 80 {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = lead
		}
		line += word + " "
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

// Markdown returns a table of every key with the value that it has in a struct,
// then one for each section.
func (s Schema) Markdown(of any) []byte {
	var b bytes.Buffer
	s.writeTable(&b, reflect.ValueOf(of), "", false)
	return b.Bytes()
}

// writeTable documents the keys of one section, or of each entry of a list,
// then its sections.
func (s Schema) writeTable(b *bytes.Buffer, section reflect.Value, path string, entry bool) {
	b.WriteString("\n| key | default | example | meaning |\n|---|---|---|---|\n")
	for _, f := range fields(section.Type()) {
		k, _ := s.describe(join(path, f.name))
		initial, example := "", code(k.Example)
		switch value := section.Field(f.index); {
		case isSection(value.Type()):
			example = "see below"
		case !entry:
			initial = code(inline(value))
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.name, initial, example, strings.ReplaceAll(k.About, "|", "\\|"))
	}
	for _, f := range fields(section.Type()) {
		value, at := section.Field(f.index), join(path, f.name)
		switch {
		case isSection(value.Type()):
			fmt.Fprintf(b, "\n### %s\n", at)
			s.writeTable(b, value, at, false)
		case isEntries(value.Type()):
			fmt.Fprintf(b, "\n### entries of %s\n", at)
			s.writeTable(b, reflect.Zero(value.Type().Elem()), at, true)
		}
	}
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
