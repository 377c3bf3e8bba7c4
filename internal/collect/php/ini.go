package php

import (
	"strconv"
	"strings"
)

// entry is one "key = value" of a php.ini or of a pool's configuration, which
// PHP reads with the same scanner (zend_ini_scanner.l).
type entry struct {
	section string // "www"; "PATH=/x" and "HOST=x" of php.ini
	key     string // "memory_limit", "php_admin_value[memory_limit]"
	value   string // as PHP reads it: On is "1", Off and None are ""
	line    int
	head    int // line of the section's name
}

// scanner reads INI text as PHP does. It takes what PHP would refuse to parse
// as far as it makes sense: what a file says must not hide behind a mistake.
type scanner struct {
	text     string
	pos      int
	line     int
	variable func(string) string // value of ${NAME}
	errorAll int                 // E_ALL of the branch
}

func parseINI(text, branch string, variable func(string) string) []entry {
	s := &scanner{text: text, line: 1, variable: variable, errorAll: 32767}
	if compareBranches(branch, "8.4") >= 0 {
		s.errorAll = 30719 // without E_STRICT
	}
	var entries []entry
	section, head := "", 0
	for s.skip(" \t\r\n"); s.pos < len(s.text); s.skip(" \t\r\n") {
		switch s.text[s.pos] {
		case ';':
			s.rest()
			continue
		case '[':
			s.pos++
			section, head = strings.Trim(strings.TrimSpace(s.until("]\n")), `"'`), s.line
			s.rest()
			continue
		}
		e := entry{section: section, head: head, line: s.line}
		e.key = strings.TrimSpace(s.until("=\n;["))
		if s.peek() == '[' {
			s.pos++
			e.key += "[" + strings.Trim(strings.TrimSpace(s.until("]\n=")), `"'`) + "]"
			if s.peek() == ']' {
				s.pos++
			}
			s.until("=\n;")
		}
		if s.peek() == '=' {
			s.pos++
			e.value = s.value()
		}
		s.rest()
		if e.key != "" {
			entries = append(entries, e)
		}
	}
	return entries
}

func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

func (s *scanner) skip(these string) {
	for s.pos < len(s.text) && strings.IndexByte(these, s.text[s.pos]) >= 0 {
		if s.text[s.pos] == '\n' {
			s.line++
		}
		s.pos++
	}
}

// until returns what is before the next of these bytes and stays on it.
func (s *scanner) until(these string) string {
	end := strings.IndexAny(s.text[s.pos:], these)
	if end < 0 {
		end = len(s.text) - s.pos
	}
	part := s.text[s.pos : s.pos+end]
	s.pos += end
	return part
}

// rest passes over what is left of a line.
func (s *scanner) rest() { s.until("\n") }

// value reads the right side of an assignment, up to the end of its line or a
// comment.
func (s *scanner) value() string {
	var whole, plain strings.Builder // plain: the value as long as nothing in it is quoted
	bare := true
	s.skip(" \t")
	for s.pos < len(s.text) && s.text[s.pos] != '\n' && s.text[s.pos] != ';' {
		switch c := s.text[s.pos]; {
		case c == '"':
			bare = false
			s.pos++
			before := strings.TrimRight(whole.String(), " \t") // white space around double quotes is no part of the value
			whole.Reset()
			whole.WriteString(before)
			s.quoted(&whole)
			s.skip(" \t")
		case c == '\'':
			bare = false
			s.pos++
			if strings.Contains(s.text[s.pos:], "'") {
				part := s.until("'")
				s.line += strings.Count(part, "\n")
				s.pos++
				whole.WriteString(part)
			}
		case c == '$' && strings.HasPrefix(s.text[s.pos:], "${"):
			bare = false
			whole.WriteString(s.reference())
		default:
			s.pos++
			whole.WriteByte(c)
			plain.WriteByte(c)
		}
	}
	if !bare {
		return strings.TrimRight(whole.String(), " \t\r")
	}
	return s.constant(strings.TrimSpace(plain.String()))
}

// quoted reads the inside of double quotes, which may span lines. Quotes that
// nothing closes end with their line.
func (s *scanner) quoted(into *strings.Builder) {
	closed := strings.Contains(s.text[s.pos:], `"`)
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		switch {
		case c == '"':
			s.pos++
			return
		case c == '\n' && !closed:
			return
		case c == '\\' && s.pos+1 < len(s.text) && strings.IndexByte(`"\'`, s.text[s.pos+1]) >= 0:
			into.WriteByte(s.text[s.pos+1])
			s.pos += 2
			continue
		case c == '$' && strings.HasPrefix(s.text[s.pos:], "${"):
			into.WriteString(s.reference())
			continue
		case c == '\n':
			s.line++
		}
		into.WriteByte(c)
		s.pos++
	}
}

// reference reads "${NAME}" or "${NAME:-otherwise}".
func (s *scanner) reference() string {
	s.pos += len("${")
	name, otherwise, _ := strings.Cut(s.until("}\n"), ":-")
	if s.peek() == '}' {
		s.pos++
	}
	if value := s.variable(strings.TrimSpace(name)); value != "" {
		return value
	}
	return otherwise
}

// errorLevels are the constants that php.ini may combine for error_reporting
// (errors(7) of the manual).
var errorLevels = map[string]int{
	"E_ERROR": 1, "E_WARNING": 2, "E_PARSE": 4, "E_NOTICE": 8, "E_CORE_ERROR": 16, "E_CORE_WARNING": 32, "E_COMPILE_ERROR": 64, "E_COMPILE_WARNING": 128,
	"E_USER_ERROR": 256, "E_USER_WARNING": 512, "E_USER_NOTICE": 1024, "E_STRICT": 2048, "E_RECOVERABLE_ERROR": 4096, "E_DEPRECATED": 8192, "E_USER_DEPRECATED": 16384,
}

// constant reads a value without quotes.
func (s *scanner) constant(text string) string {
	switch strings.ToLower(text) {
	case "on", "yes", "true":
		return "1"
	case "off", "no", "none", "false", "null":
		return ""
	}
	if strings.Contains(text, "E_") || strings.ContainsAny(text, "|&^~!") {
		e := &expression{text: text, errorAll: s.errorAll}
		if number, ok := e.either(0); ok && strings.TrimSpace(e.text) == "" {
			return strconv.Itoa(number)
		}
	}
	return text
}

// expression is a combination of error levels: "E_ALL & ~(E_NOTICE | E_STRICT)".
// PHP gives all three operators the same precedence, from left to right.
type expression struct {
	text     string
	errorAll int
}

const nestingLimit = 50

func (e *expression) either(depth int) (int, bool) {
	left, ok := e.single(depth)
	for ok {
		e.text = strings.TrimLeft(e.text, " \t")
		if e.text == "" || !strings.Contains("|&^", e.text[:1]) {
			return left, true
		}
		operator := e.text[0]
		e.text = e.text[1:]
		var right int
		if right, ok = e.single(depth); !ok {
			break
		}
		switch operator {
		case '|':
			left |= right
		case '&':
			left &= right
		case '^':
			left ^= right
		}
	}
	return 0, false
}

func (e *expression) single(depth int) (int, bool) {
	e.text = strings.TrimLeft(e.text, " \t")
	if e.text == "" || depth > nestingLimit {
		return 0, false
	}
	switch e.text[0] {
	case '~':
		e.text = e.text[1:]
		number, ok := e.single(depth + 1)
		return ^number, ok
	case '!':
		e.text = e.text[1:]
		number, ok := e.single(depth + 1)
		if number == 0 {
			return 1, ok
		}
		return 0, ok
	case '(':
		e.text = e.text[1:]
		number, ok := e.either(depth + 1)
		rest, closed := strings.CutPrefix(strings.TrimLeft(e.text, " \t"), ")")
		e.text = rest
		return number, ok && closed
	}
	end := strings.IndexAny(e.text, " \t|&^~!()")
	if end < 0 {
		end = len(e.text)
	}
	word := e.text[:end]
	e.text = e.text[end:]
	if word == "E_ALL" {
		return e.errorAll, true
	}
	if level, known := errorLevels[word]; known {
		return level, true
	}
	number, err := strconv.Atoi(word)
	return number, err == nil
}
