package app

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/matomo/ini"
	"rocca/internal/secret"
)

// config is one file of Matomo's configuration: what it sets, by
// "Section.key", and in which line.
type config struct {
	values  map[string][]string
	lines   map[string]int
	lists   map[string]bool // keys written "key[] = ..."
	guarded bool
	problem string // why a value may be read otherwise than PHP reads it
}

// parseConfig reads a file of Matomo's configuration. What cannot be read as
// PHP reads it is read line by line, and problem says so.
func parseConfig(path string, text []byte) config {
	c := scanConfig(text)
	c.guarded = ini.Guarded(text)
	file, err := ini.Parse(text)
	if err != nil {
		c.problem = fmt.Sprintf("%s: %v: its values were read line by line, and PHP may read others", path, err)
		return c
	}
	values, lists := map[string][]string{}, map[string]bool{}
	for _, section := range file.Sections {
		for _, setting := range section.Settings {
			key := section.Name + "." + setting.Key
			if len(setting.List) == 0 {
				values[key] = []string{setting.Value}
				continue
			}
			lists[key] = true
			for _, item := range setting.List {
				values[key] = append(values[key], item.Value)
			}
		}
	}
	c.values, c.lists = values, lists
	maps.DeleteFunc(c.lines, func(key string, _ int) bool { _, set := values[key]; return !set })
	return c
}

var (
	sectionLine = regexp.MustCompile(`^\s*\[([^\]]+)\]`)
	settingLine = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_.-]*)\s*(\[[^\]]*\])?\s*=\s*(.*)$`)
)

// scanConfig reads line by line what looks like a section or a setting.
func scanConfig(text []byte) config {
	c := config{values: map[string][]string{}, lines: map[string]int{}, lists: map[string]bool{}}
	section, number := "", 0
	for raw := range bytes.Lines(text) {
		number++
		line := strings.TrimRight(string(raw), "\r\n")
		if match := sectionLine.FindStringSubmatch(line); match != nil {
			section = match[1]
			continue
		}
		match := settingLine.FindStringSubmatch(line)
		if match == nil || section == "" {
			continue
		}
		key, value := section+"."+match[1], plainValue(match[3])
		if match[2] == "" {
			c.values[key], c.lists[key] = []string{value}, false
		} else {
			if !c.lists[key] {
				c.values[key] = nil
			}
			c.values[key], c.lists[key] = append(c.values[key], value), true
		}
		if _, again := c.lines[key]; !again || match[2] == "" {
			c.lines[key] = number
		}
	}
	return c
}

// plainValue takes the quotes or the comment off a value.
func plainValue(text string) string {
	text = strings.TrimSpace(text)
	if text != "" && (text[0] == '"' || text[0] == '\'') {
		if end := strings.IndexByte(text[1:], text[0]); end >= 0 {
			return text[1 : 1+end]
		}
	}
	value, _, _ := strings.Cut(text, ";")
	return strings.TrimSpace(value)
}

// merge puts the files over each other as Matomo does (IniFileChain): lists of
// common.config.ini.php are added to those of global.ini.php, and what
// config.ini.php sets replaces either.
func merge(global, common, local config) map[string][]string {
	merged := maps.Clone(global.values)
	if merged == nil {
		merged = map[string][]string{}
	}
	for key, values := range common.values {
		if common.lists[key] && global.lists[key] {
			values = slices.Concat(merged[key], values)
		}
		merged[key] = values
	}
	maps.Copy(merged, local.values)
	return merged
}

// untold are sections that say nothing about a server: for Matomo's own tests,
// and the list of its translations.
var untold = []string{"database_tests", "tests", "DebugTests", "Languages"}

// secretKey is a key that holds a secret, by how Matomo and its plugins name
// such settings.
var secretKey = regexp.MustCompile(`(?i)(password|passwd|passphrase|pass|pwd|salt|secret|token|token_auth|key|licen[sc]e)$`)

// notSecret are settings whose names look like those of secrets.
var notSecret = []string{"General.enable_framed_allow_write_admin_token_auth", "database.ssl_key", "database_reader.ssl_key"}

func isSecret(key string) bool {
	_, name, _ := strings.Cut(key, ".")
	return secretKey.MatchString(name) && !slices.Contains(notSecret, key)
}

// split divides settings in effect into those that may be told, the strength of
// the secrets, and the secrets themselves.
func split(merged map[string][]string) (told map[string][]string, strengths map[string]facts.Strength, secrets map[string]secret.Secret) {
	told, strengths, secrets = map[string][]string{}, map[string]facts.Strength{}, map[string]secret.Secret{}
	for key, values := range merged {
		section, _, _ := strings.Cut(key, ".")
		if slices.Contains(untold, section) {
			continue
		}
		if !isSecret(key) {
			told[key] = withoutSecrets(values)
			continue
		}
		value := strings.Join(values, "\n")
		strengths[key] = strength(value)
		if value != "" {
			secrets[key] = secret.New(value)
		}
	}
	return told, strengths, secrets
}

// inURL is a secret in a URL: before the host, or as a parameter.
var inURL = regexp.MustCompile(`(?i)(://[^/@\s:]*:)[^/@\s]+@|([?&][a-z_-]*(?:key|token|token_auth|password|secret|auth)=)[^&\s]+`)

func withoutSecrets(values []string) []string {
	cleaned := make([]string, len(values))
	for i, value := range values {
		cleaned[i] = inURL.ReplaceAllStringFunc(value, func(found string) string {
			if strings.HasSuffix(found, "@") {
				return found[:strings.LastIndexByte(found[:len(found)-1], ':')+1] + "[redacted]@"
			}
			return found[:strings.IndexByte(found, '=')+1] + "[redacted]"
		})
	}
	return cleaned
}

// words that passwords are made of, and that add no more than a letter each.
var words = []string{"password", "passwort", "passw0rd", "matomo", "piwik", "mysql", "mariadb", "admin", "secret", "changeme", "change", "welcome", "qwerty", "qwertz", "letmein", "root", "user", "test", "demo", "1234", "abcd", "2024", "2025", "2026"}

// judgedLength is how much of a secret its strength is judged by, in bytes.
const judgedLength = 4096

// strength says how long a secret is, and how many bits it has at most when
// each character was drawn from the classes that occur in it. Words count as
// one character, and a run of equal characters as two.
func strength(value string) facts.Strength {
	s := facts.Strength{Length: len([]rune(value))}
	if value == "" {
		return s
	}
	value = value[:min(len(value), judgedLength)]
	lower := strings.ToLower(value)
	for _, word := range words {
		value, lower = shorten(value, lower, word)
	}
	runes := []rune(value)
	drawn, distinct := 0, map[rune]bool{}
	for i, r := range runes {
		if i > 1 && runes[i-1] == r && runes[i-2] == r {
			continue
		}
		drawn++
		distinct[r] = true
	}
	letters := alphabet(value)
	if len(distinct)*3 <= drawn { // few characters, again and again
		letters = min(letters, len(distinct)+1)
	}
	s.Bits = math.Round(10*float64(drawn)*math.Log2(float64(letters))) / 10
	return s
}

// shorten leaves the first letter of each occurrence of a word.
func shorten(value, lower, word string) (string, string) {
	if len(value) != len(lower) { // a character that changes its length: no such word in it
		return value, lower
	}
	for {
		i := strings.Index(lower, word)
		if i < 0 {
			return value, lower
		}
		value = value[:i+1] + value[i+len(word):]
		lower = lower[:i+1] + lower[i+len(word):]
	}
}

// alphabet is how many characters there are in the classes that occur in a
// value: hexadecimal, else digits, letters of either case, and the others.
func alphabet(value string) int {
	if strings.Trim(value, "0123456789abcdef") == "" && len(value) >= 16 {
		return 16
	}
	size := 0
	for _, class := range []struct {
		letters string
		size    int
	}{{"0123456789", 10}, {"abcdefghijklmnopqrstuvwxyz", 26}, {"ABCDEFGHIJKLMNOPQRSTUVWXYZ", 26}} {
		if strings.ContainsAny(value, class.letters) {
			size += class.size
		}
	}
	if strings.Trim(value, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		size += 32
	}
	return max(size, 2)
}
