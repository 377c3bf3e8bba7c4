package ini

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Encode returns the file as bytes, guard line first. It refuses names with
// anything but letters, digits, "_", "-" (and in places "." or a blank), names
// that PHP reads as a boolean, a name used twice, and values with control
// characters or invalid UTF-8. A value can never end its line.
func (f *File) Encode() ([]byte, error) {
	var b strings.Builder
	b.WriteString(guard + "\n" + notice + "\n")
	sections := map[string]bool{}
	for _, section := range f.Sections {
		if err := checkSection(section.Name); err != nil {
			return nil, fmt.Errorf("encode section %q: %w", section.Name, err)
		}
		if sections[section.Name] {
			return nil, fmt.Errorf("encode section %q: there are two of that name", section.Name)
		}
		sections[section.Name] = true
		if len(section.Settings) == 0 {
			continue
		}
		b.WriteString("[" + section.Name + "]\n")
		keys := map[string]bool{}
		for _, setting := range section.Settings {
			if keys[setting.Key] {
				return nil, fmt.Errorf("encode [%s] %s: there are two of that name", section.Name, setting.Key)
			}
			keys[setting.Key] = true
			if err := encodeSetting(&b, setting); err != nil {
				return nil, fmt.Errorf("encode [%s] %s: %w", section.Name, setting.Key, err)
			}
		}
		b.WriteString("\n")
	}
	return []byte(b.String()), nil
}

func encodeSetting(b *strings.Builder, s Setting) error {
	if err := checkKey(s.Key); err != nil {
		return err
	}
	if len(s.List) == 0 {
		return encodeLine(b, s.Key, s.Value)
	}
	seen := map[string]bool{}
	for _, item := range s.List {
		if item.Key != "" {
			if err := checkItemKey(item.Key); err != nil {
				return err
			}
			if seen[item.Key] {
				return fmt.Errorf("the list has two values for %q", item.Key)
			}
			seen[item.Key] = true
		}
		if err := encodeLine(b, s.Key+"["+item.Key+"]", item.Value); err != nil {
			return err
		}
	}
	return nil
}

func encodeLine(b *strings.Builder, key, value string) error {
	if err := checkValue(value); err != nil {
		return err
	}
	b.WriteString(key + " = ")
	if isInteger(value) {
		b.WriteString(value)
	} else {
		b.WriteString(`"` + encodeEntities(value) + `"`)
	}
	b.WriteString("\n")
	return nil
}

// isInteger tells whether Matomo's reader turns a value into an integer, which
// its writer does not quote.
func isInteger(value string) bool {
	n, err := strconv.ParseInt(value, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == value
}

var (
	sectionName = regexp.MustCompile(`^[A-Za-z_]([A-Za-z0-9_ -]*[A-Za-z0-9_-])?$`)
	keyName     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
	itemName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
)

func checkSection(name string) error { return checkName(name, sectionName) }
func checkKey(name string) error     { return checkName(name, keyName) }
func checkItemKey(name string) error { return checkName(name, itemName) }

func checkName(name string, allowed *regexp.Regexp) error {
	if !allowed.MatchString(name) {
		return fmt.Errorf("the name %q does not match %s", name, allowed)
	}
	if isReserved(name) {
		return fmt.Errorf("the name %q is a value to PHP, not a name", name)
	}
	return nil
}

// isReserved tells whether PHP's scanner takes a word for a boolean or null.
func isReserved(word string) bool {
	switch strings.ToLower(word) {
	case "true", "yes", "on", "false", "no", "off", "none", "null":
		return true
	}
	return false
}

func checkValue(value string) error {
	if !utf8.ValidString(value) {
		return fmt.Errorf("the value is not valid UTF-8")
	}
	for _, r := range value {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' {
			return fmt.Errorf("the value holds the control character %U", r)
		}
	}
	return nil
}
