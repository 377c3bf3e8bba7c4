package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"rocca/internal/document"
)

// Template returns a file to start from: every key commented out with its
// default and what it means. With the first # of each key's line removed, it
// loads to the defaults; as it is, too.
func Template(defaults Defaults) []byte {
	none := func(string) bool { return false }
	return append([]byte("# The configuration of rocca. Every key has a default, so this file may be empty.\n"+
		"# To change a value, remove the # at the start of its line, and of the line of\n"+
		"# its section (such as database:). Then: rocca config check\n"),
		schema().Template(defaults.Config(), none)...)
}

// Init writes the template to a new file with mode 0644, and its directory
// where that is missing. A file that exists stays as it is and is an *Error.
func Init(path string, defaults Defaults) error {
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return document.Failed(Problem{File: path, Text: "make its directory: " + document.Cause(err).Error()})
	}
	return document.WriteNew(path, Template(defaults), "rocca config init - prints a new one to compare with")
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
	b.Write(schema().Markdown(Defaults{Hostname: "stats.example.org"}.Config()))
	return b.Bytes()
}
