package document

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"text/tabwriter"

	"github.com/goccy/go-yaml"
)

// YAML returns a struct with every key, each with a comment that says where its
// value came from: "default" or "file:line".
func (d *Document) YAML(of any) []byte {
	var text bytes.Buffer
	// Values and comments in two columns, as gofmt does.
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	d.write(columns, reflect.ValueOf(of), "", "")
	_ = columns.Flush() // into memory
	return text.Bytes()
}

func (d *Document) write(w *tabwriter.Writer, section reflect.Value, path, indent string) {
	for i, f := range fields(section.Type()) {
		value, at := section.Field(f.index), join(path, f.name)
		// The first key of an entry stands behind its dash.
		lead := indent
		if i == 0 && strings.HasSuffix(path, "]") {
			lead = strings.TrimSuffix(indent, "  ") + "- "
		}
		switch {
		case isSection(value.Type()):
			fmt.Fprintf(w, "%s%s:\n", lead, f.name)
			d.write(w, value, at, indent+"  ")
		case isEntries(value.Type()):
			if value.Len() == 0 {
				fmt.Fprintf(w, "%s%s: []\t# %s\n", lead, f.name, d.Origin(at))
				continue
			}
			fmt.Fprintf(w, "%s%s:\n", lead, f.name)
			for j := range value.Len() {
				d.write(w, value.Index(j), fmt.Sprintf("%s[%d]", at, j), indent+"    ")
			}
		default:
			fmt.Fprintf(w, "%s%s: %s\t# %s\n", lead, f.name, inline(value), d.Origin(at))
		}
	}
}

// inline renders one value, or a list of values, in YAML on one line.
func inline(value reflect.Value) string {
	plain := value.Interface()
	switch networks := plain.(type) {
	case netip.Prefix:
		plain = networkText(networks)
	case []netip.Prefix:
		texts := make([]string, len(networks))
		for i, network := range networks {
			texts[i] = networkText(network)
		}
		plain = texts
	}
	text, err := yaml.MarshalWithOptions(plain, yaml.Flow(true), yaml.UseLiteralStyleIfMultiline(false))
	if err != nil {
		panic(fmt.Sprintf("document: render %T: %v", plain, err)) // texts, numbers and booleans always can be
	}
	return strings.TrimSpace(string(text))
}

func networkText(network netip.Prefix) string {
	if !network.IsValid() {
		return ""
	}
	return network.String()
}
