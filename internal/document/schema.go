// Package document reads a YAML document strictly into a struct, and shows such
// a struct as YAML and as documentation. What a key means is said once, in a
// Schema; the names, types and order of the keys are those of the struct, whose
// fields have the tag "yaml". Fields are strings, whole numbers, booleans,
// networks (netip.Prefix), lists of these, sections, and lists of sections.
package document

import (
	"net/netip"
	"reflect"
	"strings"
)

// Key describes one key. It is no type of its own, so that tables of keys can
// be written without the names of its fields.
type Key = struct {
	Path    string // such as "database.host"; "apps.name" is the name of every entry of apps
	About   string // sentences for the owner of the file
	Example string // a value in YAML that is not the default; empty for a section
}

// Schema describes the keys of one kind of document.
type Schema struct {
	Keys   []Key  // in the order of the struct's fields
	Logins string // hint for an unknown key that looks like a login or password: where those belong
}

// describe returns the description of a key such as "apps[2].name".
func (s Schema) describe(path string) (Key, bool) {
	plain := withoutIndexes(path)
	for _, k := range s.Keys {
		if k.Path == plain {
			return k, true
		}
	}
	return Key{}, false
}

// Paths lists every key of a struct in its order, such as "apps", "apps.name".
// A Schema has to describe each.
func Paths(of reflect.Type) []string {
	var all []string
	for _, f := range fields(of) {
		all = append(all, f.name)
		kind := of.Field(f.index).Type
		if isEntries(kind) {
			kind = kind.Elem()
		}
		if isSection(kind) {
			for _, path := range Paths(kind) {
				all = append(all, f.name+"."+path)
			}
		}
	}
	return all
}

// isSection tells whether a type has keys of its own.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[netip.Prefix]()
}

// isEntries tells whether a type is a list of sections.
func isEntries(t reflect.Type) bool { return t.Kind() == reflect.Slice && isSection(t.Elem()) }

// field is one key of a section: the name in YAML and the index in the struct.
type field struct {
	name  string
	index int
}

// fields lists the keys of a section in the order of its struct.
func fields(section reflect.Type) []field {
	var all []field
	for i := range section.NumField() {
		if name := section.Field(i).Tag.Get("yaml"); name != "" {
			all = append(all, field{name, i})
		}
	}
	return all
}

func names(section reflect.Type) []string {
	var all []string
	for _, f := range fields(section) {
		all = append(all, f.name)
	}
	return all
}

func indexOf(section reflect.Type, name string) int {
	for _, f := range fields(section) {
		if f.name == name {
			return f.index
		}
	}
	return -1
}

// withoutIndexes turns "apps[2].name" into "apps.name".
func withoutIndexes(path string) string {
	for {
		before, rest, found := strings.Cut(path, "[")
		if !found {
			return path
		}
		_, after, _ := strings.Cut(rest, "]")
		path = before + after
	}
}

// join appends a name to the path of a section.
func join(section, name string) string {
	if section == "" {
		return name
	}
	return section + "." + name
}

// parent returns the path of what holds a key or an entry, "" for the top.
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// Value is one key with its value in YAML.
type Value struct{ Path, Text string }

// Values lists the values of a struct in its order.
func Values(of any) []Value { return values(reflect.ValueOf(of), "") }

func values(section reflect.Value, path string) []Value {
	var all []Value
	for _, f := range fields(section.Type()) {
		value, at := section.Field(f.index), join(path, f.name)
		if isSection(value.Type()) {
			all = append(all, values(value, at)...)
			continue
		}
		all = append(all, Value{at, inline(value)})
	}
	return all
}

// Changed lists the keys with values that differ between two structs of one
// type.
func Changed(a, b any) []string {
	var all []string
	others := Values(b)
	for i, value := range Values(a) {
		if value != others[i] {
			all = append(all, value.Path)
		}
	}
	return all
}
