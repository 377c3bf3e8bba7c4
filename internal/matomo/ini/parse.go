package ini

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Parse reads a file as Matomo does. Of a key that stands twice in a section
// the last one counts, and of a section that stands twice only the last one,
// as in PHP; sections without a key are left out.
//
// What PHP would compute instead of read ("${HOME}", "1 | 2", text that goes
// on after a quote) is refused: rocca could not tell the value. One thing is
// read as it stands: an unquoted word that is the name of a PHP constant.
//
// Errors name the line, and the key when there is one, but never show a value:
// it may be a password.
func Parse(file []byte) (File, error) {
	if len(file) > sizeLimit {
		return File{}, fmt.Errorf("the file has %d bytes, more than %d", len(file), sizeLimit)
	}
	p := parser{rest: string(file), line: 1, sections: map[string]int{}}
	for p.rest != "" {
		if err := p.statement(); err != nil {
			return File{}, fmt.Errorf("line %d: %w", p.line, err)
		}
	}
	return p.result(), nil
}

// sizeLimit is far above any real file, in bytes: Matomo's own global.ini.php
// has 70 kB.
const sizeLimit = 1 << 20

type parser struct {
	rest string // not read yet
	line int    // number of the line that rest begins in
	file File

	// Where names were met first: in the file, in the current section, in its
	// lists. A hostile file may have a great many of them.
	section  *Section // that keys belong to; nil before the first one
	sections map[string]int
	settings map[string]int
	lists    map[string]*positions
}

// positions are the places of the items of a list.
type positions struct {
	items map[string]int
	next  int // the index that PHP gives to the next plain item
}

// statement reads one line, or several when a quoted value spans them.
func (p *parser) statement() error {
	if p.rest[0] == '[' {
		return p.header()
	}
	p.blanks()
	if p.rest == "" || p.rest[0] == ';' || isBreak(p.rest[0]) {
		return p.endOfLine()
	}
	return p.setting()
}

func (p *parser) header() error {
	name, found := p.until("]")
	if !found {
		return fmt.Errorf("the section has no closing bracket")
	}
	name = name[1:]
	if err := checkSection(name); err != nil {
		return err
	}
	p.rest = p.rest[1:]
	i, again := p.sections[name]
	if !again {
		i = len(p.file.Sections)
		p.sections[name] = i
		p.file.Sections = append(p.file.Sections, Section{})
	}
	p.file.Sections[i] = Section{Name: name}
	p.section = &p.file.Sections[i]
	p.settings, p.lists = map[string]int{}, map[string]*positions{}
	return p.endOfLine()
}

func (p *parser) setting() error {
	name, found := p.until("=")
	name = strings.TrimRight(name, " \t")
	if !found {
		return fmt.Errorf("neither a section nor a key with a value")
	}
	p.rest = p.rest[1:]

	key, itemKey, list := strings.Cut(name, "[")
	key = strings.TrimRight(key, " \t")
	if err := checkKey(key); err != nil {
		return err
	}
	if list {
		var closed bool
		itemKey, closed = strings.CutSuffix(itemKey, "]")
		if !closed {
			return fmt.Errorf("key %s: no closing bracket before the value", key)
		}
		if itemKey != "" && !isIndex(itemKey) {
			if err := checkItemKey(itemKey); err != nil {
				return fmt.Errorf("key %s: %w", key, err)
			}
		}
	}
	value, err := p.value()
	if err != nil {
		return fmt.Errorf("key %s: %w", key, err)
	}
	if p.section == nil {
		return fmt.Errorf("key %s stands before the first section", key)
	}
	p.store(key, itemKey, value, list)
	if err := p.endOfLine(); err != nil {
		return fmt.Errorf("key %s: %w", key, err)
	}
	return nil
}

// store adds a value as PHP adds it to an array. Until result is called, plain
// items have their index as a key.
func (p *parser) store(key, itemKey, value string, list bool) {
	i, again := p.settings[key]
	if !again {
		i = len(p.section.Settings)
		p.settings[key] = i
		p.section.Settings = append(p.section.Settings, Setting{})
	}
	setting := &p.section.Settings[i]
	if !list {
		*setting = Setting{Key: key, Value: value}
		return
	}
	if len(setting.List) == 0 { // new, or a single value until now
		*setting = Setting{Key: key}
		p.lists[key] = &positions{items: map[string]int{}}
	}
	known := p.lists[key]
	if itemKey == "" {
		itemKey = strconv.Itoa(known.next)
	}
	if at, again := known.items[itemKey]; again {
		setting.List[at].Value = value
		return
	}
	if isIndex(itemKey) {
		index, _ := strconv.Atoi(itemKey)
		known.next = max(known.next, index+1)
	}
	known.items[itemKey] = len(setting.List)
	setting.List = append(setting.List, Item{Key: itemKey, Value: value})
}

func (p *parser) result() File {
	var file File
	for _, section := range p.file.Sections {
		if len(section.Settings) == 0 {
			continue
		}
		for _, setting := range section.Settings {
			for i := range setting.List {
				if isIndex(setting.List[i].Key) {
					setting.List[i].Key = ""
				}
			}
		}
		file.Sections = append(file.Sections, section)
	}
	return file
}

// isIndex tells whether PHP takes the key of a list item for a number.
func isIndex(key string) bool {
	n, err := strconv.Atoi(key)
	return err == nil && n >= 0 && n < 1<<31 && strconv.Itoa(n) == key
}

func (p *parser) value() (string, error) {
	p.blanks()
	raw, err := "", error(nil)
	switch {
	case strings.HasPrefix(p.rest, `"`):
		raw, err = p.doubleQuoted()
	case strings.HasPrefix(p.rest, "'"):
		raw, err = p.singleQuoted()
	default:
		raw, err = p.unquoted()
	}
	if err != nil {
		return "", err
	}
	value := decodeEntities(raw)
	return value, checkValue(value)
}

// doubleQuoted reads up to a quote that is not escaped. A quote after a
// backslash still ends the value when the line ends there: PHP lets "C:\dir\"
// pass, and Matomo writes such values.
func (p *parser) doubleQuoted() (string, error) {
	for i := 1; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '"':
			lineEnds := i+1 == len(p.rest) || isBreak(p.rest[i+1])
			if p.rest[i-1] == '\\' && !lineEnds {
				if p.rest[i-2] == '\\' {
					return "", fmt.Errorf("the value has two backslashes before a quote, which PHP reads differently from place to place")
				}
				continue
			}
			text := p.rest[1:i]
			p.skip(i + 1)
			return unescape(text), nil
		case '$':
			if strings.HasPrefix(p.rest[i:], "${") {
				return "", fmt.Errorf("the value uses a PHP variable (${...})")
			}
			if p.rest[i-1] == '\\' {
				return "", fmt.Errorf("the value has a backslash before a dollar sign, which PHP versions read differently")
			}
		}
	}
	return "", fmt.Errorf("the value has no closing quote")
}

func unescape(text string) string {
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(text)
}

func (p *parser) singleQuoted() (string, error) {
	end := strings.IndexByte(p.rest[1:], '\'')
	if end < 0 {
		return "", fmt.Errorf("the value has no closing quote")
	}
	text := p.rest[1 : 1+end]
	p.skip(end + 2)
	return text, nil
}

func (p *parser) unquoted() (string, error) {
	text, _ := p.until(";")
	text = strings.TrimRight(text, " \t")
	if i := strings.IndexAny(text, `"'=&|^~()!$`); i >= 0 {
		return "", fmt.Errorf("the value has to be quoted, as %q means something else to PHP", text[i])
	}
	switch text {
	case "true", "yes", "on":
		return "1", nil
	case "false", "no", "off":
		return "0", nil
	}
	switch strings.ToLower(text) {
	case "true", "yes", "on":
		return "1", nil
	case "false", "no", "off", "none", "null":
		return "", nil
	}
	for word := range strings.FieldsSeq(text) {
		if isReserved(word) {
			return "", fmt.Errorf("the value has to be quoted, as %q means something else to PHP", word)
		}
	}
	return text, nil
}

// endOfLine reads the rest of a line, in which only a comment may stand.
func (p *parser) endOfLine() error {
	p.blanks()
	if p.rest != "" && p.rest[0] != ';' && !isBreak(p.rest[0]) {
		return fmt.Errorf("there is more on the line after the end of the statement")
	}
	p.until("")
	switch {
	case strings.HasPrefix(p.rest, "\r\n"):
		p.skip(2)
	case p.rest != "":
		p.skip(1)
	}
	return nil
}

func (p *parser) blanks() { p.rest = strings.TrimLeft(p.rest, " \t") }

// until reads up to one of the stop characters or the end of the line, and
// tells whether it met one of the former.
func (p *parser) until(stop string) (text string, found bool) {
	end := strings.IndexAny(p.rest, stop+"\r\n")
	if end < 0 {
		text, p.rest = p.rest, ""
		return text, false
	}
	text, p.rest = p.rest[:end], p.rest[end:]
	return text, !isBreak(p.rest[0])
}

// skip moves on by n bytes and counts the lines in them.
func (p *parser) skip(n int) {
	passed := []byte(p.rest[:n])
	p.line += bytes.Count(passed, []byte("\n")) + bytes.Count(passed, []byte("\r")) - bytes.Count(passed, []byte("\r\n"))
	p.rest = p.rest[n:]
}

func isBreak(c byte) bool { return c == '\n' || c == '\r' }
