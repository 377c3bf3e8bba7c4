package php

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// environment reads the variables that systemd gives a service: facts have
// their names only. What cannot be read gives none.
func (s survey) environment(name string, unit facts.Unit) map[string]string {
	variables := map[string]string{}
	if unit.Fragment == "" {
		return variables
	}
	specifiers := specifiersOf(name)
	for _, file := range append([]string{unit.Fragment}, unit.DropIns...) {
		content, err := s.root.Read(file, fileLimit)
		if err != nil {
			continue
		}
		section := ""
		text := strings.NewReplacer("\\\r\n", " ", "\\\n", " ").Replace(string(content))
		for line := range strings.SplitSeq(text, "\n") {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "[") {
				section = line
			}
			key, value, isSetting := strings.Cut(line, "=")
			if section != "[Service]" || !isSetting || line[0] == '#' || line[0] == ';' {
				continue
			}
			value = strings.TrimSpace(value)
			switch strings.TrimSpace(key) {
			case "Environment":
				if value == "" {
					clear(variables)
				}
				assign(variables, specifiers.Replace(value))
			case "EnvironmentFile":
				content, err := s.root.Read(specifiers.Replace(strings.TrimPrefix(value, "-")), fileLimit)
				if err != nil {
					continue
				}
				for line := range strings.SplitSeq(string(content), "\n") {
					if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && key != "" && key[0] != '#' && key[0] != ';' {
						variables[key] = strings.Trim(value, `"'`)
					}
				}
			}
		}
	}
	return variables
}

// specifiersOf are those of systemd.unit(5) that name the unit itself.
func specifiersOf(name string) *strings.Replacer {
	bare := strings.TrimSuffix(name, path.Ext(name))
	prefix, instance, _ := strings.Cut(bare, "@")
	return strings.NewReplacer("%%", "%", "%i", instance, "%I", strings.ReplaceAll(instance, "-", "/"), "%n", name, "%N", bare, "%p", prefix)
}

// words splits at white space outside of quotes.
var words = regexp.MustCompile(`(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"'])+`)

// assign reads `A=1 "B=two words"`.
func assign(into map[string]string, text string) {
	for _, word := range words.FindAllString(text, -1) {
		if len(word) > 1 && (word[0] == '"' || word[0] == '\'') && word[0] == word[len(word)-1] {
			word = word[1 : len(word)-1]
		}
		if key, value, ok := strings.Cut(word, "="); ok {
			into[key] = strings.Trim(value, `"'`)
		}
	}
}

// socket finds the socket unit that opens an address for a service.
func (s survey) socket(listen string) (facts.Unit, bool) {
	for _, unit := range s.units {
		if unit.Loaded && !unit.Masked && slices.Contains(unit.Streams, listen) {
			return unit, true
		}
	}
	return facts.Unit{}, false
}
