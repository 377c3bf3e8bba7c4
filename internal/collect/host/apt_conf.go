package host

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// aptKept are the branches of apt's configuration that become facts.
var aptKept = []string{"APT::Periodic::", "Unattended-Upgrade::", "Acquire::", "APT::Get::AllowUnauthenticated", "APT::Authentication::", "APT::Sandbox::"}

// aptSpelled are options in the spelling that the manuals use: apt itself does
// not care for case.
var aptSpelled = []string{
	"APT::Periodic::Enable", "APT::Periodic::Update-Package-Lists", "APT::Periodic::Download-Upgradeable-Packages",
	"APT::Periodic::Unattended-Upgrade", "APT::Periodic::AutocleanInterval", "APT::Periodic::Verbose",
	"Unattended-Upgrade::Allowed-Origins", "Unattended-Upgrade::Origins-Pattern", "Unattended-Upgrade::Package-Blacklist",
	"Unattended-Upgrade::Automatic-Reboot", "Unattended-Upgrade::Mail",
	"Acquire::AllowInsecureRepositories", "Acquire::AllowDowngradeToInsecureRepositories", "Acquire::Check-Valid-Until",
	"APT::Get::AllowUnauthenticated",
}

// aptConf is the configuration of apt: values by key in lower case, and lists.
type aptConf struct {
	spelled map[string]string
	values  map[string]string
	lists   map[string][]string
}

// aptSettings reads apt.conf(5): the parts, then the main file.
func aptSettings(root Root) (settings map[string]string, origins []string, err error) {
	conf := aptConf{map[string]string{}, map[string]string{}, map[string][]string{}}
	for _, key := range aptSpelled {
		conf.spelled[strings.ToLower(key)] = key
	}
	names, problem := root.list("/etc/apt/apt.conf.d")
	var files []string
	for _, name := range names {
		if aptPart(name, "conf") {
			files = append(files, "/etc/apt/apt.conf.d/"+name)
		}
	}
	for _, file := range append(files, "/etc/apt/apt.conf") {
		content, err := root.readIfThere(file)
		problem = errors.Join(problem, err)
		conf.parse(content)
	}
	settings = map[string]string{}
	for key, value := range conf.values {
		name := conf.spelled[key]
		if slices.ContainsFunc(aptKept, func(branch string) bool { return strings.HasPrefix(key, strings.ToLower(branch)) }) {
			settings[name] = redact(value)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(conf.lists)) {
		if key == "unattended-upgrade::origins-pattern" || key == "unattended-upgrade::allowed-origins" {
			origins = append(origins, conf.lists[key]...)
		}
	}
	if problem != nil {
		problem = fmt.Errorf("read settings of apt: %w", problem)
	}
	return settings, origins, problem
}

// aptScope is how deep scopes may be nested.
const aptScope = 64

// parse adds a file: "A::B "value";", "A { B "value"; };", "A { "item"; };",
// "A:: "item";" and "#clear A;".
func (c aptConf) parse(content string) {
	var scopes []string
	var words []string
	for token := range aptTokens(content) {
		switch token {
		case "{":
			if len(scopes) < aptScope {
				scopes = append(scopes, strings.Join(words, "::"))
			}
			words = nil
		case "}":
			if len(scopes) > 0 {
				scopes = scopes[:len(scopes)-1]
			}
			words = nil
		case ";":
			c.statement(scopes, words)
			words = nil
		default:
			words = append(words, token)
		}
	}
}

func (c aptConf) statement(scopes, words []string) {
	scope := strings.Join(scopes, "::")
	switch {
	case len(words) == 0:
	case words[0] == "#clear":
		for _, name := range words[1:] {
			name = strings.ToLower(name)
			for key := range c.values {
				if key == name || strings.HasPrefix(key, name+"::") {
					delete(c.values, key)
				}
			}
			for key := range c.lists {
				if key == name || strings.HasPrefix(key, name+"::") {
					delete(c.lists, key)
				}
			}
		}
	case strings.HasPrefix(words[0], "#"):
	case strings.HasPrefix(words[0], `"`): // an item of the list that the scope is
		c.add(scope, aptUnquote(words[0]))
	default:
		key := words[0]
		if scope != "" {
			key = scope + "::" + key
		}
		value := ""
		if len(words) > 1 {
			value = aptUnquote(words[1])
		}
		if list, isItem := strings.CutSuffix(key, "::"); isItem {
			c.add(list, value)
			return
		}
		c.values[c.key(key)] = value
	}
}

func (c aptConf) add(list, item string) {
	key := c.key(list)
	c.lists[key] = append(c.lists[key], item)
}

// key notes how a key was first spelled.
func (c aptConf) key(name string) string {
	key := strings.ToLower(name)
	if _, known := c.spelled[key]; !known {
		c.spelled[key] = name
	}
	return key
}

func aptUnquote(word string) string { return strings.Trim(word, `"`) }

// aptTokens yields words, quoted words with their quotes, and { } ; . Comments
// are left out.
func aptTokens(content string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := 0; i < len(content); {
			rest := content[i:]
			switch c := content[i]; {
			case c == ' ' || c == '\t' || c == '\n' || c == '\r':
				i++
			case strings.HasPrefix(rest, "//"), c == '#' && !strings.HasPrefix(rest, "#clear") && !strings.HasPrefix(rest, "#include"):
				i += until(rest, "\n")
			case strings.HasPrefix(rest, "/*"):
				i += until(rest, "*/")
			case c == '{' || c == '}' || c == ';':
				if !yield(rest[:1]) {
					return
				}
				i++
			case c == '"':
				end := 1 + until(rest[1:], `"`)
				if !yield(rest[:end]) {
					return
				}
				i += end
			default:
				end := strings.IndexAny(rest, " \t\r\n{};\"")
				if end < 0 {
					end = len(rest)
				}
				if !yield(rest[:end]) {
					return
				}
				i += end
			}
		}
	}
}

// until returns the length up to the end of the mark, or all.
func until(text, mark string) int {
	if at := strings.Index(text, mark); at >= 0 {
		return at + len(mark)
	}
	return len(text)
}
