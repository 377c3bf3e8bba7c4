// Package ini reads and writes Matomo's config.ini.php as Matomo itself does:
// PHP's INI dialect behind a guard line, with values kept as HTML entities.
//
// Parse(Encode(f)) equals f, and Encode(f) is what Matomo would write, byte
// for byte, but for values that Matomo's own writer does not bring back whole
// (line breaks, two backslashes in a row, a backslash at the end): these are
// written as numeric entities, which Matomo decodes.
//
// Comments are not kept: Matomo drops them, too, whenever it saves the file.
package ini

import (
	"bytes"
	"slices"
)

// guard is the first line of each file: a web server that runs PHP answers
// with nothing but it, instead of the database password.
const guard = "; <?php exit; ?> DO NOT REMOVE THIS LINE"

// notice is the second line of what Matomo writes.
const notice = "; file automatically generated or modified by Matomo; you can manually override the default values in global.ini.php by redefining them in this file."

// Guarded tells whether a file begins with the guard line. Without it a web
// server that is asked for config.ini.php hands out its text.
func Guarded(file []byte) bool {
	line, _, _ := bytes.Cut(file, []byte("\n"))
	return string(bytes.TrimRight(line, "\r")) == guard
}

// File is a configuration file. Sections and settings keep their order; both
// names are unique, and no section is empty.
type File struct{ Sections []Section }

// Section is one "[Name]" and what stands below it.
type Section struct {
	Name     string
	Settings []Setting
}

// Setting is one key with a value, or with a list of values:
//
//	Key = "Value"
//	Key[] = "List[0].Value"
//	Key[List[1].Key] = "List[1].Value"
//
// Values are decoded text. Matomo's booleans are "1" and "0", null is "".
type Setting struct {
	Key   string
	Value string // meaningless when there is a List
	List  []Item // empty: the setting is a single value
}

// Item is one element of a list.
type Item struct {
	Key   string // empty for a plain "[]"
	Value string
}

// Get returns a single value, and whether there is one.
func (f *File) Get(section, key string) (string, bool) {
	setting := f.find(section, key)
	if setting == nil || len(setting.List) > 0 {
		return "", false
	}
	return setting.Value, true
}

// List returns the values of a list, nil when there is none.
func (f *File) List(section, key string) []string {
	setting := f.find(section, key)
	if setting == nil {
		return nil
	}
	var values []string
	for _, item := range setting.List {
		values = append(values, item.Value)
	}
	return values
}

// Set gives a key a single value. A new key is added at the end of its
// section, a new section at the end of the file. Names and values are checked
// by Encode.
func (f *File) Set(section, key, value string) {
	f.put(section, Setting{Key: key, Value: value})
}

// SetList gives a key a list of values; an empty one deletes the key.
func (f *File) SetList(section, key string, values []string) {
	if len(values) == 0 {
		f.Delete(section, key)
		return
	}
	items := make([]Item, len(values))
	for i, value := range values {
		items[i].Value = value
	}
	f.put(section, Setting{Key: key, List: items})
}

// Delete removes a key, and its section when that was the last one.
func (f *File) Delete(section, key string) {
	i := f.index(section)
	if i < 0 {
		return
	}
	s := &f.Sections[i]
	s.Settings = slices.DeleteFunc(s.Settings, func(s Setting) bool { return s.Key == key })
	if len(s.Settings) == 0 {
		f.Sections = slices.Delete(f.Sections, i, i+1)
	}
}

func (f *File) put(section string, setting Setting) {
	if old := f.find(section, setting.Key); old != nil {
		*old = setting
		return
	}
	i := f.index(section)
	if i < 0 {
		i = len(f.Sections)
		f.Sections = append(f.Sections, Section{Name: section})
	}
	f.Sections[i].Settings = append(f.Sections[i].Settings, setting)
}

func (f *File) index(section string) int {
	return slices.IndexFunc(f.Sections, func(s Section) bool { return s.Name == section })
}

func (f *File) find(section, key string) *Setting {
	i := f.index(section)
	if i < 0 {
		return nil
	}
	settings := f.Sections[i].Settings
	j := slices.IndexFunc(settings, func(s Setting) bool { return s.Key == key })
	if j < 0 {
		return nil
	}
	return &settings[j]
}
