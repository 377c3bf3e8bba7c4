package control

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"rocca/internal/model"
)

// Area is a part of the catalogue.
type Area struct {
	ID, Name string
	About    string
}

// Areas lists the parts of the catalogue, in its order.
func Areas() []Area {
	return []Area{
		{"HST", "Host", "The Debian below: packages, network, kernel, jobs."},
		{"SSH", "SSH", "Who gets a shell, and how."},
		{"FS", "Files", "Who can read and replace what, through every directory, group, ACL and service."},
		{"ISO", "Isolation", "What an intruder in one part has of the others."},
		{"PHP", "PHP", "How PHP is set."},
		{"FRT", "Front", "What the web server answers, asked for real."},
		{"TLS", "TLS", "Encryption on the way to visitors and out."},
		{"DB", "Database", "Who reaches the data, and with which rights."},
		{"APP", "Matomo", "How Matomo is set."},
		{"PLG", "Plugins", "What runs and is not needed."},
		{"ACC", "Accounts", "Logins, second factors, tokens."},
		{"TRK", "Tracker", "What everybody on the Internet may send."},
		{"PRV", "Privacy", "What is stored of visitors, measured in the rows."},
		{"LOG", "Logs", "What is kept of what happened."},
		{"UPD", "Updates", "That new code is the right code, and comes."},
		{"OPS", "Operations", "What only people can do."},
		{"AWS", "AWS", "The account, the network and the services around the servers, as `rocca aws audit` sees them."},
	}
}

// Explain tells all of one control as Markdown.
func (c Control) Explain() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "## %s: %s\n\n%s\n\n", c.ID, c.Title, c.Why)
	fmt.Fprintf(&b, "- severity: %s\n", c.Severity)
	fmt.Fprintf(&b, "- looks at: %s\n", joined(c.Needs))
	fmt.Fprintf(&b, "- fix (%s): %s\n", c.Fix.Kind, c.Fix.Text)
	if c.Attack != "" {
		fmt.Fprintf(&b, "- proven by attack: %s\n", c.Attack)
	}
	for _, scheme := range schemes(c.Maps) {
		fmt.Fprintf(&b, "- %s: %s\n", scheme, items(c.Maps, scheme))
	}
	for _, s := range Statements() {
		if slices.Contains(c.Maps, s.Ref) {
			fmt.Fprintf(&b, "- %s says (%s): %s\n", s.Scheme, s.Item, s.Text)
		}
	}
	fmt.Fprintf(&b, "- since: %s\n", c.Since)
	return b.Bytes()
}

func joined[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, item := range list {
		words[i] = string(item)
	}
	return strings.Join(words, ", ")
}

// schemes lists the standards of references, each once.
func schemes(maps []model.Ref) []string {
	var all []string
	for _, m := range maps {
		if !slices.Contains(all, m.Scheme) {
			all = append(all, m.Scheme)
		}
	}
	return all
}

func items(maps []model.Ref, scheme string) string {
	var all []string
	for _, m := range maps {
		if m.Scheme == scheme {
			all = append(all, m.Item)
		}
	}
	return strings.Join(all, ", ")
}

const generated = "<!-- Generated from internal/control: go test ./internal/control -update -->\n\n"

// Pages are the documentation of the catalogue (docs/controls), by file name.
func Pages() map[string][]byte {
	pages := map[string][]byte{"README.md": index(), "sources.md": sources()}
	for _, area := range Areas() {
		var b bytes.Buffer
		fmt.Fprintf(&b, "# %s\n\n%s%s\n", area.Name, generated, area.About)
		for _, c := range catalogue() {
			if c.Area() == area.ID {
				b.WriteString("\n")
				b.Write(c.Explain())
			}
		}
		pages[strings.ToLower(area.ID)+".md"] = b.Bytes()
	}
	return pages
}

func index() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Controls\n\n%s%d statements that `rocca audit` checks of a server, and `rocca aws audit` of a deployment in AWS. `rocca explain ID` tells one on the terminal; [sources.md](sources.md) maps the two documents that rocca began with.\n", generated, len(catalogue()))
	for _, area := range Areas() {
		fmt.Fprintf(&b, "\n## [%s](%s.md)\n\n| id | severity | what must be true | fix |\n|---|---|---|---|\n", area.Name, strings.ToLower(area.ID))
		for _, c := range catalogue() {
			if c.Area() == area.ID {
				fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.ID, c.Severity, strings.ReplaceAll(c.Title, "|", "\\|"), c.Fix.Kind)
			}
		}
	}
	return b.Bytes()
}

func sources() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# What the two source documents say, and which controls check it\n\n%s", generated)
	b.WriteString("Ids without a page are of parts that rocca does not have yet (backups, watching).\n")
	for _, source := range Sources {
		fmt.Fprintf(&b, "\n## %s: %s\n\n| | statement | controls |\n|---|---|---|\n", source.Scheme, source.Name)
		for _, s := range Statements() {
			if s.Scheme == source.Scheme {
				fmt.Fprintf(&b, "| %s | %s | %s |\n", s.Item, s.Text, strings.Join(s.Controls(), " "))
			}
		}
	}
	return b.Bytes()
}

// Controls lists the ids of the controls that check a statement, those of parts
// that rocca does not have yet last.
func (s Statement) Controls() []string {
	var ids []string
	for _, c := range catalogue() {
		if slices.Contains(c.Maps, s.Ref) {
			ids = append(ids, c.ID)
		}
	}
	return append(ids, strings.Fields(s.Later)...)
}
