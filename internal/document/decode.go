package document

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// decoder fills a struct from a YAML tree. It goes on after a problem, so that
// all are reported at once. (The decoder of the YAML library stops at the
// first, and says of a wrong type only the Go type.)
type decoder struct {
	*Document
	schema Schema
	base   string // path of the section that the schema describes
}

// at returns where a node begins.
func at(node ast.Node) position {
	token := node.GetToken()
	if token == nil || token.Position == nil {
		return position{}
	}
	return position{token.Position.Line, token.Position.Column}
}

// report adds a problem. With no hint, the example of the key is one.
func (d *decoder) report(where position, path, hint, format string, args ...any) {
	own := strings.TrimPrefix(strings.TrimPrefix(path, d.base), ".")
	if k, known := d.schema.describe(own); hint == "" && known && k.Example != "" {
		hint = exampleHint(k)
	}
	d.Document.report(where, path, hint, format, args...)
}

// value decodes a node into one field, section or entry. The key that it
// belongs to stands at keyAt.
func (d *decoder) value(node ast.Node, to reflect.Value, path string, keyAt position) {
	switch node.Type() {
	case ast.AnchorType, ast.AliasType, ast.TagType, ast.MergeKeyType:
		d.report(at(node), path, "write the value itself", "uses a YAML anchor, alias or tag, which this file does not allow")
		return
	}
	switch {
	case isSection(to.Type()):
		d.section(node, to, path, keyAt)
	case to.Kind() == reflect.Slice:
		d.list(node, to, path, keyAt)
	default:
		d.scalar(node, to, path, keyAt)
	}
}

func (d *decoder) section(node ast.Node, to reflect.Value, path string, keyAt position) {
	d.positions[path] = keyAt
	if node.Type() == ast.NullType && !strings.HasSuffix(path, "]") {
		return // "database:" with every line beneath it commented out
	}
	mapping, ok := node.(ast.MapNode)
	if !ok {
		d.report(at(node), path, "its keys are "+strings.Join(names(to.Type()), ", "), "must be keys with values, not %s", kind(node))
		return
	}
	first := map[string]position{}
	for entry := mapping.MapRange(); entry.Next(); {
		where := at(entry.Key())
		text, ok := entry.Key().(*ast.StringNode)
		if !ok {
			d.report(where, path, "", "has a key that is not plain text but %s", kind(entry.Key()))
			continue
		}
		name := text.Value
		index := indexOf(to.Type(), name)
		if index < 0 {
			d.unknown(where, path, name, names(to.Type()))
			continue
		}
		if before, twice := first[name]; twice {
			d.report(where, join(path, name), "keep one of the two", "is set twice, first in line %d", before.line)
			continue
		}
		first[name] = where
		d.value(entry.Value(), to.Field(index), join(path, name), where)
	}
}

func (d *decoder) list(node ast.Node, to reflect.Value, path string, keyAt position) {
	d.positions[path] = keyAt
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		_, isScalar := node.(ast.ScalarNode)
		if isEntries(to.Type()) {
			isScalar = false
		}
		if !isScalar || node.Type() == ast.NullType {
			d.wrongType(node, path, keyAt, "a list")
			return
		}
		// A single text stands for the list of it.
		to.Set(reflect.MakeSlice(to.Type(), 1, 1))
		d.value(node, to.Index(0), path+"[0]", at(node))
		return
	}
	to.Set(reflect.MakeSlice(to.Type(), len(sequence.Values), len(sequence.Values)))
	if len(sequence.Values) == 0 {
		to.SetZero()
	}
	for i, entry := range sequence.Values {
		d.value(entry, to.Index(i), fmt.Sprintf("%s[%d]", path, i), at(entry))
	}
}

func (d *decoder) scalar(node ast.Node, to reflect.Value, path string, keyAt position) {
	d.positions[path] = at(node)
	if to.Type() == reflect.TypeFor[netip.Prefix]() {
		d.network(node, to, path, keyAt)
		return
	}
	switch to.Kind() {
	case reflect.String:
		switch n := node.(type) {
		case *ast.StringNode:
			to.SetString(n.Value)
		case *ast.LiteralNode:
			to.SetString(n.Value.Value)
		case *ast.IntegerNode, *ast.FloatNode:
			to.SetString(n.GetToken().Value) // as written: 8.10 is not 8.1
		default:
			d.wrongType(node, path, keyAt, "text")
		}
	case reflect.Int:
		number, err := strconv.Atoi(node.GetToken().Value)
		if node.Type() != ast.IntegerType || err != nil {
			d.wrongType(node, path, keyAt, "a whole number")
			return
		}
		to.SetInt(int64(number))
	case reflect.Bool:
		truth, ok := node.(*ast.BoolNode)
		if !ok {
			d.wrongType(node, path, keyAt, "true or false")
			return
		}
		to.SetBool(truth.Value)
	default:
		panic(fmt.Sprintf("document: no way to decode %s into %s", path, to.Type()))
	}
}

func (d *decoder) network(node ast.Node, to reflect.Value, path string, keyAt position) {
	text, ok := node.(*ast.StringNode)
	if !ok {
		d.wrongType(node, path, keyAt, "a network or address")
		return
	}
	if text.Value == "" && !strings.HasSuffix(path, "]") {
		to.SetZero() // none; an entry of a list is one
		return
	}
	network, problem := parseNetwork(text.Value)
	if problem != "" {
		d.report(at(node), path, "for example 192.0.2.0/24, or 203.0.113.7 for one address", "%s", problem)
		return
	}
	to.Set(reflect.ValueOf(network))
}

// parseNetwork reads a network, or a single address as the network of it.
func parseNetwork(text string) (netip.Prefix, string) {
	if address, err := netip.ParseAddr(text); err == nil {
		if address.Zone() != "" || address.Is4In6() {
			return netip.Prefix{}, Quote(text) + " has a zone or is an IPv4 address written as IPv6"
		}
		return netip.PrefixFrom(address, address.BitLen()), ""
	}
	network, err := netip.ParsePrefix(text)
	if err != nil || network.Addr().Is4In6() {
		return netip.Prefix{}, Quote(text) + " is no network or IP address"
	}
	return network, ""
}

func (d *decoder) wrongType(node ast.Node, path string, keyAt position, want string) {
	if node.Type() == ast.NullType {
		d.report(keyAt, path, "give it a value, or remove the line for the default", "has no value")
		return
	}
	d.report(at(node), path, "", "must be %s, not %s", want, kind(node))
}

// unknown reports a key that does not exist with the one that was meant. What
// it was set to is not shown: it may be a password.
func (d *decoder) unknown(where position, section, name string, siblings []string) {
	shown := name
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" || len(name) > 60 {
		shown = Quote(name)
	}
	var elsewhere []string
	for _, k := range d.schema.Keys {
		if k.Path == name {
			elsewhere = append(elsewhere, "at the top, without indentation")
		} else if holder, found := strings.CutSuffix(k.Path, "."+name); found {
			elsewhere = append(elsewhere, "beneath "+holder)
		}
	}
	hint := "the keys here are " + strings.Join(siblings, ", ")
	meant := Nearest(name, siblings)
	switch {
	case len(elsewhere) > 0:
		hint = "it belongs " + strings.Join(elsewhere, ", or ")
	case d.schema.Logins != "" && credential.MatchString(name):
		hint = d.schema.Logins
	case meant != "":
		hint = "did you mean " + join(section, meant) + "?"
	}
	d.report(where, join(section, shown), hint, "unknown key")
}

// credential matches keys that people expect to hold one.
var credential = regexp.MustCompile(`(?i)user(name)?$|pass|secret|token`)

// kind names what a node is in the words of somebody who writes YAML.
func kind(node ast.Node) string {
	switch node.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "keys with values"
	case ast.SequenceType:
		return "a list"
	case ast.NullType:
		return "nothing"
	case ast.BoolType:
		return node.GetToken().Value + " (quote it to make it text)"
	case ast.IntegerType, ast.FloatType, ast.InfinityType, ast.NanType:
		return "the number " + node.GetToken().Value
	case ast.StringType, ast.LiteralType:
		return "text"
	case ast.MergeKeyType:
		return "a YAML merge key"
	default:
		return "a YAML " + strings.ToLower(node.Type().String())
	}
}
