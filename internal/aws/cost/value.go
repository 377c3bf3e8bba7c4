package cost

import (
	"encoding/json"
	"strconv"
	"strings"
)

// property finds a value below the properties of a resource; nil: it is not set.
func property(in any, path ...string) any {
	for _, key := range path {
		object, ok := in.(map[string]any)
		if !ok {
			return nil
		}
		in = object[key]
	}
	return in
}

// number reads a number however it is written; 0: it is none.
func number(value any) float64 {
	switch n := value.(type) {
	case int:
		return float64(n)
	case int64:
		return float64(n)
	case uint64:
		return float64(n)
	case float64:
		return n
	case json.Number:
		return number(n.String())
	case string:
		f, err := strconv.ParseFloat(n, 64)
		if err != nil {
			return 0
		}
		return f
	}
	return 0
}

// yes tells whether a value is true, however that is written.
func yes(value any) bool {
	switch v := value.(type) {
	case bool:
		return v
	case string:
		return strings.EqualFold(v, "true")
	}
	return false
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

func list(value any) []any {
	l, _ := value.([]any)
	return l
}

// reference is the logical id that a Ref or Fn::GetAtt leads to.
func reference(value any) string {
	object, ok := value.(map[string]any)
	if !ok {
		return ""
	}
	if id := text(object["Ref"]); id != "" {
		return id
	}
	if parts := list(object["Fn::GetAtt"]); len(parts) > 0 {
		return text(parts[0])
	}
	id, _, _ := strings.Cut(text(object["Fn::GetAtt"]), ".")
	return id
}
