package iampolicy

import (
	"encoding/json"
	"fmt"
	"strings"
)

// object is one of JSON, in its order.
type object []member

type member struct {
	name  string
	value any // object, []any, string, or literal
}

// literal is a number, true, false or null, as it is written.
type literal string

// mostNames of one object. AWS knows fewer.
const mostNames = 100

// decode reads JSON. A name that stands twice in an object, in whatever case, is
// an error: AWS and we might each believe another one.
func decode(text string) (any, error) {
	if !json.Valid([]byte(text)) {
		return nil, json.Unmarshal([]byte(text), new(any))
	}
	r := reader{text}
	return r.value()
}

// reader reads JSON that is known to be valid.
type reader struct{ rest string }

// next is the first byte that is no blank. It stays.
func (r *reader) next() byte {
	for r.rest[0] == ' ' || r.rest[0] == '\n' || r.rest[0] == '\t' || r.rest[0] == '\r' {
		r.rest = r.rest[1:]
	}
	return r.rest[0]
}

// skip leaves out a byte when it is the next one.
func (r *reader) skip(b byte) bool {
	if r.next() != b {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

func (r *reader) value() (any, error) {
	switch r.next() {
	case '{':
		return r.object()
	case '[':
		r.skip('[')
		list := []any{}
		for !r.skip(']') {
			one, err := r.value()
			if err != nil {
				return nil, err
			}
			list = append(list, one)
			r.skip(',')
		}
		return list, nil
	case '"':
		return r.text()
	}
	end := strings.IndexAny(r.rest, ",]} \t\r\n")
	if end < 0 {
		end = len(r.rest)
	}
	found := literal(r.rest[:end])
	r.rest = r.rest[end:]
	return found, nil
}

func (r *reader) object() (object, error) {
	r.skip('{')
	read := object{}
	for !r.skip('}') {
		r.next()
		name, err := r.text()
		if err != nil {
			return nil, err
		}
		for _, m := range read {
			if strings.EqualFold(m.name, name) {
				return nil, fmt.Errorf("%q stands twice", name)
			}
		}
		if len(read) == mostNames {
			return nil, fmt.Errorf("one of its objects has more than %d names", mostNames)
		}
		r.skip(':')
		value, err := r.value()
		if err != nil {
			return nil, err
		}
		read = append(read, member{name, value})
		r.skip(',')
	}
	return read, nil
}

// text reads a text, which begins here.
func (r *reader) text() (string, error) {
	end, plain := 1, true
	for ; r.rest[end] != '"'; end++ {
		if r.rest[end] == '\\' {
			plain = false
			end++
		}
	}
	quoted := r.rest[:end+1]
	r.rest = r.rest[end+1:]
	if plain {
		return quoted[1:end], nil
	}
	var text string
	err := json.Unmarshal([]byte(quoted), &text)
	return text, err
}

// texts are one text or a list of them. AWS takes true and 1 for "true" and "1".
func texts(tree any) ([]string, error) {
	list, is := tree.([]any)
	if !is {
		list = []any{tree}
	}
	all := make([]string, len(list))
	for i, one := range list {
		switch one := one.(type) {
		case string:
			all[i] = one
		case literal:
			if one == "null" {
				return nil, fmt.Errorf("null is no text")
			}
			all[i] = string(one)
		default:
			return nil, fmt.Errorf("a list or an object is no text")
		}
	}
	return all, nil
}
