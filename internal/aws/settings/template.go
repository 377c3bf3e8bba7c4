package settings

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"rocca/internal/document"
)

// Template returns a rocca-aws.yaml that loads to these settings: every key
// with what it means; those that have their default are commented out.
func Template(s Settings) []byte {
	set := append(document.Changed(s, Defaults(s.Profile, s.Database.Kind, s.Region)), "name", "region", "profile")
	if s.Database.Kind != Defaults(s.Profile, "", s.Region).Database.Kind {
		set = append(set, "database.kind")
	}
	return append([]byte("# What is wanted of a Matomo server on AWS. rocca aws reads it.\n"+
		"# Keys that are commented out have the value of their profile. To change one,\n"+
		"# remove the # at the start of its line, and of the line of its section (such as\n"+
		"# network:). Then: rocca aws plan\n"),
		schema().Template(s, func(key string) bool { return slices.Contains(set, key) })...)
}

// occupied is what to do when there is a file already.
const occupied = "name another with -o, or edit it; rocca aws init --dry-run prints a new one to compare with"

// Vacant is an error when Write would not write the file because it exists.
func Vacant(path string) error { return document.Vacant(path, occupied) }

// Write writes the template of settings to a new file. A file that exists stays
// as it is and is an error.
func Write(path string, s Settings) error { return document.WriteNew(path, Template(s), occupied) }

// variants are the columns of the table of defaults.
var variants = []struct {
	title   string
	profile Profile
	kind    string
}{
	{"single", Single, ""}, {"single with RDS", Single, DatabaseRDS}, {"standard", Standard, ""}, {"scale", Scale, ""},
}

// Markdown returns docs/aws-settings.md.
func Markdown() []byte {
	var b bytes.Buffer
	b.WriteString(`# Settings of rocca aws

<!-- Generated from internal/aws/settings: go test ./internal/aws/settings -update -->

rocca aws reads ` + "`" + DefaultPath + "`" + ` in the directory where it runs, or the file named with ` + "`-c`" + `. ` + "`rocca aws init`" + ` asks a few
questions and writes one with every key. Only the profile, the region, the domain and the e-mail address have to be there.

An unknown key, a key set twice, a wrong type or an impossible value is an error before any call to AWS, told as
` + "`file:line:column: key: what is wrong`" + ` with what to do; exit code 2. The file holds no secret.

## What the profile decides

| key |`)
	for _, v := range variants {
		b.WriteString(" " + v.title + " |")
	}
	b.WriteString("\n|---" + strings.Repeat("|---", len(variants)) + "|\n")
	var columns [][]document.Value
	for _, v := range variants {
		columns = append(columns, document.Values(Defaults(v.profile, v.kind, "")))
	}
	for i, first := range columns[0] {
		differs := slices.ContainsFunc(columns, func(c []document.Value) bool { return c[i].Text != first.Text })
		if !differs || first.Path == "profile" {
			continue
		}
		b.WriteString("| `" + first.Path + "` |")
		for _, c := range columns {
			b.WriteString(" `" + c[i].Text + "` |")
		}
		b.WriteString("\n")
	}
	b.WriteString(`
## Keys

The defaults below are those of the profile ` + "`single`" + `. Where the table above has none for a profile (` + "`\"\"`" + ` or ` + "`0`" + `), the key
is refused in it, because it would have no effect. The zones are by default two of the region.
`)
	b.Write(schema().Markdown(Defaults(Single, "", "")))
	b.WriteString(`
## cdk.json

A ` + "`cdk.json`" + ` works in place of ` + "`" + DefaultPath + "`" + `: rocca reads its ` + "`" + oldSection + "`" + `, with the keys that danjamk/matomo-aws-server has,
and ` + "`" + newSection + "`" + `, which takes every key above by the same name. The profile is ` + "`single`" + ` when none is named.
` + "`rocca aws init --from cdk.json`" + ` writes a rocca-aws.yaml from it instead.

| ` + oldSection + ` | here | meaning |
|---|---|---|
`)
	for _, k := range oldKeys {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", k.name, k.key, k.about)
	}
	for _, g := range gone {
		fmt.Fprintf(&b, "| `%s` | refused | It was read nowhere: %s. |\n", g.name, g.instead)
	}
	return b.Bytes()
}
