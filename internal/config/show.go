package config

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"text/tabwriter"

	"github.com/goccy/go-yaml"
)

// YAML returns the effective configuration, every key with a comment that says
// where its value came from: "default" or "file:line". It loads to the same
// Config, and holds no secret, because a Config holds none.
func (c Config) YAML() []byte {
	var text bytes.Buffer
	// Values and comments in two columns, as gofmt does.
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	c.write(columns, valueOf(&c), "", "")
	_ = columns.Flush() // into memory
	return text.Bytes()
}

func (c Config) write(w *tabwriter.Writer, section reflect.Value, path, indent string) {
	for i, f := range fields(section.Type()) {
		value, at := section.Field(f.index), join(path, f.name)
		// The first key of an entry stands behind its dash.
		lead := indent
		if i == 0 && strings.HasSuffix(path, "]") {
			lead = strings.TrimSuffix(indent, "  ") + "- "
		}
		switch {
		case value.Kind() == reflect.Struct:
			fmt.Fprintf(w, "%s%s:\n", lead, f.name)
			c.write(w, value, at, indent+"  ")
		case isEntries(value.Type()):
			if value.Len() == 0 {
				fmt.Fprintf(w, "%s%s: []\t# %s\n", lead, f.name, c.origin(at))
				continue
			}
			fmt.Fprintf(w, "%s%s:\n", lead, f.name)
			for j := range value.Len() {
				c.write(w, value.Index(j), fmt.Sprintf("%s[%d]", at, j), indent+"    ")
			}
		default:
			fmt.Fprintf(w, "%s%s: %s\t# %s\n", lead, f.name, inline(value), c.origin(at))
		}
	}
}

// isEntries tells whether a type is a list of sections.
func isEntries(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && t.Elem() != reflect.TypeFor[netip.Prefix]()
}

func (c Config) origin(path string) string {
	if where, set := c.source.positions[path]; set {
		return fmt.Sprintf("%s:%d", c.source.file, where.line)
	}
	return "default"
}

// inline renders one value, or a list of values, in YAML on one line.
func inline(value reflect.Value) string {
	plain := value.Interface()
	if networks, ok := plain.([]netip.Prefix); ok {
		texts := make([]string, len(networks))
		for i, network := range networks {
			texts[i] = network.String()
		}
		plain = texts
	}
	text, err := yaml.MarshalWithOptions(plain, yaml.Flow(true), yaml.UseLiteralStyleIfMultiline(false))
	if err != nil {
		panic(fmt.Sprintf("config: render %T: %v", plain, err)) // texts, numbers and booleans always can be
	}
	return strings.TrimSpace(string(text))
}
