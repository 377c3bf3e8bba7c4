package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
)

// Template returns a file to start from: every key commented out with its
// default and what it means. With the first # of each key's line removed, it
// loads to the defaults; as it is, too.
func Template(defaults Defaults) []byte {
	var b bytes.Buffer
	b.WriteString("# The configuration of rocca. Every key has a default, so this file may be empty.\n" +
		"# To change a value, remove the # at the start of its line, and of the line of\n" +
		"# its section (such as database:). Then: rocca config check\n")
	c := defaults.Config()
	writeTemplate(&b, valueOf(&c), "", "")
	return b.Bytes()
}

func writeTemplate(b *bytes.Buffer, section reflect.Value, path, indent string) {
	for _, f := range fields(section.Type()) {
		value, at := section.Field(f.index), join(path, f.name)
		k, _ := describe(at)
		b.WriteString("#\n")
		prose(b, "#"+indent+" ", k.about)
		isSection := value.Kind() == reflect.Struct
		if !isSection && k.example != "" {
			fmt.Fprintf(b, "#%s Example: %s\n", indent, k.example)
		}
		if isSection {
			fmt.Fprintf(b, "#%s%s:\n", indent, f.name)
			writeTemplate(b, value, at, indent+"  ")
			continue
		}
		if isEntries(value.Type()) {
			for _, entry := range fields(value.Type().Elem()) {
				about, _ := describe(join(at, entry.name))
				prose(b, "#   ", entry.name+": "+about.about)
			}
		}
		fmt.Fprintf(b, "#%s%s: %s\n", indent, f.name, inline(value))
	}
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

// Init writes the template to a new file with mode 0644, and its directory
// where that is missing. A file that exists stays as it is and is an *Error.
func Init(path string, defaults Defaults) error {
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return failed(Problem{File: path, Text: "make its directory: " + cause(err).Error()})
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|syscall.O_NOFOLLOW, 0o644)
	if errors.Is(err, os.ErrExist) {
		return failed(Problem{File: path, Text: "exists already and is not overwritten", Hint: "rocca config init - prints a new one to compare with"})
	}
	if err != nil {
		return failed(Problem{File: path, Text: cause(err).Error()})
	}
	_, err = file.Write(Template(defaults))
	// Whatever the umask says: the file holds no secret.
	err = errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close())
	if err != nil {
		os.Remove(path)
		return failed(Problem{File: path, Text: err.Error()})
	}
	return nil
}

// Markdown returns docs/config.md.
func Markdown() []byte {
	var b bytes.Buffer
	b.WriteString(`# Configuration

<!-- Generated from internal/config: go test ./internal/config -update -->

rocca reads ` + "`" + DefaultPath + "`" + `, or the file named with ` + "`-c`" + `. Every key has a default, so the file may be empty or missing.

| command | does |
|---|---|
| ` + "`rocca config init`" + ` | writes a file with every key commented out; never overwrites one |
| ` + "`rocca config check`" + ` | reports every problem as ` + "`file:line:column: key: what is wrong`" + `; exit code 2 |
| ` + "`rocca config show`" + ` | prints every value that is in effect, and where it was set |

An unknown key, a key set twice, a wrong type or an impossible value is an error, and nothing is changed on the server then.
YAML anchors, aliases and tags are not allowed. The file holds no secret. When root reads it, it must belong to root and be
writable by nobody else, must not be a symbolic link, and may have at most ` + fmt.Sprint(sizeLimit>>10) + ` KB.

## Keys

The defaults below are those of a machine that is called ` + "`stats.example.org`" + `.
`)
	c := Defaults{Hostname: "stats.example.org"}.Config()
	writeTable(&b, valueOf(&c), "", false)
	return b.Bytes()
}

// writeTable documents the keys of one section, or of each entry of a list,
// then its sections.
func writeTable(b *bytes.Buffer, section reflect.Value, path string, entry bool) {
	b.WriteString("\n| key | default | example | meaning |\n|---|---|---|---|\n")
	for _, f := range fields(section.Type()) {
		at := join(path, f.name)
		k, _ := describe(at)
		initial, example := "", code(k.example)
		switch value := section.Field(f.index); {
		case value.Kind() == reflect.Struct:
			example = "see below"
		case !entry:
			initial = code(inline(value))
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.name, initial, example, strings.ReplaceAll(k.about, "|", "\\|"))
	}
	for _, f := range fields(section.Type()) {
		value, at := section.Field(f.index), join(path, f.name)
		switch {
		case value.Kind() == reflect.Struct:
			fmt.Fprintf(b, "\n### %s\n", at)
			writeTable(b, value, at, false)
		case isEntries(value.Type()):
			fmt.Fprintf(b, "\n### entries of %s\n", at)
			writeTable(b, reflect.Zero(value.Type().Elem()), at, true)
		}
	}
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
