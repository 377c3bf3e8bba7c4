package host

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// includeDepth is how deep sudo follows includes (sudoers(5)); it also ends a
// file that includes itself.
const includeDepth = 128

// filesLimit caps the files that one configuration may consist of.
const filesLimit = 1000

// rootGroups are groups whose members become root without a password: they
// start containers with any directory inside, or write to the raw disk.
var rootGroups = []string{"disk", "docker", "incus-admin", "lxd"}

// sudo returns who may become somebody else. A part that cannot be read is an
// error along with the rest.
func sudo(root Root, n names) ([]facts.SudoRule, error) {
	s := sudoers{root: root, aliases: map[string][]string{}, host: hostname(root)}
	if root.exists("/etc/sudoers") {
		s.read("/etc/sudoers", 0)
	}
	rules := s.rules()
	for i, line := range n.group {
		if !slices.Contains(rootGroups, line[0]) || line[3] == "" {
			continue
		}
		for member := range strings.SplitSeq(line[3], ",") {
			rules = append(rules, facts.SudoRule{File: "/etc/group", Line: i + 1, Who: member, As: "root", Commands: []string{"ALL"}, NoWord: true})
		}
	}
	return rules, s.problem
}

// sudoers gathers the lines of all files first: an alias may be defined after
// its use.
type sudoers struct {
	root    Root
	host    string
	files   int
	aliases map[string][]string
	specs   []sudoSpec
	free    []string // who need not authenticate at all: Defaults !authenticate
	problem error
}

type sudoSpec struct {
	file string
	line int
	text string
}

func (s *sudoers) fail(format string, args ...any) {
	if s.problem == nil {
		s.problem = fmt.Errorf(format, args...)
	}
}

func (s *sudoers) read(name string, depth int) {
	s.files++
	if depth > includeDepth || s.files > filesLimit {
		s.fail("read %s: includes go too deep", name)
		return
	}
	content, err := s.root.read(name)
	if err != nil {
		s.fail("read who may use sudo: %w", err)
		return
	}
	for number, line := range logicalLines(content) {
		s.line(name, number, line, depth)
	}
}

// logicalLines yields lines with their number; a backslash at the end joins the
// next one.
func logicalLines(content string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		var joined strings.Builder
		first, number := 0, 0
		for line := range strings.Lines(content) {
			number++
			if joined.Len() == 0 {
				first = number
			}
			line = strings.TrimRight(line, "\r\n")
			if rest, continued := strings.CutSuffix(line, `\`); continued {
				joined.WriteString(rest + " ")
				continue
			}
			joined.WriteString(line)
			if !yield(first, joined.String()) {
				return
			}
			joined.Reset()
		}
		if joined.Len() > 0 {
			yield(first, joined.String())
		}
	}
}

var (
	sudoInclude = regexp.MustCompile(`^[#@]include(dir)?\s+(?:"([^"]+)"|(\S.*))$`)
	sudoComment = regexp.MustCompile(`(^|[^\\])#([^0-9-].*)?$`) // "#1000" is a user
	sudoNumber  = regexp.MustCompile(`^#-?\d+\s`)
	sudoComma   = regexp.MustCompile(`\s*,\s*`)
	sudoParens  = regexp.MustCompile(`\([^)]*\)`)
	sudoAlias   = regexp.MustCompile(`^(User|Runas|Host|Cmnd|Cmd)_Alias\s+(.*)$`)
)

func (s *sudoers) line(file string, number int, line string, depth int) {
	line = strings.TrimSpace(line)
	if match := sudoInclude.FindStringSubmatch(line); match != nil {
		target := strings.TrimSpace(match[2] + strings.ReplaceAll(match[3], `\ `, " "))
		target = strings.NewReplacer("%h", s.host, "%%", "%").Replace(target)
		if !strings.HasPrefix(target, "/") {
			target = path.Join(path.Dir(file), target)
		}
		s.include(target, match[1] != "", depth)
		return
	}
	if strings.HasPrefix(line, "#") && !sudoNumber.MatchString(line) {
		return
	}
	if at := sudoComment.FindStringSubmatchIndex(line); at != nil {
		line = strings.TrimSpace(line[:at[3]])
	}
	switch {
	case line == "":
	case strings.HasPrefix(line, "Defaults"):
		s.defaults(line)
	case sudoAlias.MatchString(line):
		for definition := range strings.SplitSeq(sudoAlias.FindStringSubmatch(line)[2], ":") {
			if name, members, defined := strings.Cut(definition, "="); defined {
				s.aliases[strings.TrimSpace(name)] = splitList(members)
			}
		}
	default:
		s.specs = append(s.specs, sudoSpec{file, number, line})
	}
}

func (s *sudoers) include(target string, dir bool, depth int) {
	if !dir {
		s.read(target, depth+1)
		return
	}
	names, err := s.root.list(target)
	if err != nil {
		s.fail("read who may use sudo: %w", err)
	}
	for _, name := range names {
		if !strings.Contains(name, ".") && !strings.HasSuffix(name, "~") {
			s.read(path.Join(target, name), depth+1)
		}
	}
}

// defaults looks for !authenticate: "Defaults", "Defaults:user",
// "Defaults>runas", "Defaults!command", "Defaults@host".
func (s *sudoers) defaults(line string) {
	scope, settings, _ := strings.Cut(strings.TrimPrefix(line, "Defaults"), " ")
	for _, setting := range splitList(settings) {
		if setting != "!authenticate" {
			continue
		}
		if users, of := strings.CutPrefix(scope, ":"); of {
			s.free = append(s.free, s.expand(splitList(users), 0)...)
		} else {
			s.free = append(s.free, "ALL")
		}
	}
}

// splitList splits at commas that are not escaped or quoted.
func splitList(text string) []string {
	var parts []string
	var part strings.Builder
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			part.WriteByte(c)
			i++
			part.WriteByte(text[i])
		case c == '"':
			quoted = !quoted
			part.WriteByte(c)
		case c == ',' && !quoted:
			parts = append(parts, strings.TrimSpace(part.String()))
			part.Reset()
		default:
			part.WriteByte(c)
		}
	}
	parts = append(parts, strings.TrimSpace(part.String()))
	return slices.DeleteFunc(parts, func(p string) bool { return p == "" })
}

// expand replaces aliases by their members. An alias of itself ends by depth,
// and a list is capped: aliases of aliases can grow without bounds.
func (s *sudoers) expand(list []string, depth int) []string {
	var all []string
	for _, item := range list {
		bare := strings.TrimSpace(strings.TrimLeft(item, "!"))
		members, alias := s.aliases[bare]
		if !alias || depth > 8 {
			if strings.HasPrefix(item, `"`) {
				item = strings.Trim(item, `"`)
			}
			all = append(all, item)
			continue
		}
		negated := strings.Count(item, "!")%2 == 1
		for _, member := range s.expand(members, depth+1) {
			if negated {
				member = "!" + member
			}
			all = append(all, member)
		}
		if len(all) > filesLimit {
			return all[:filesLimit]
		}
	}
	return all
}

func (s *sudoers) rules() []facts.SudoRule {
	var rules []facts.SudoRule
	for _, spec := range s.specs {
		rules = append(rules, s.rulesOf(spec)...)
		if len(rules) > 10*filesLimit {
			s.fail("read who may use sudo: more than %d rules", 10*filesLimit)
			break
		}
	}
	return rules
}

// rulesOf reads "who hosts = (as) TAG: command, ... : hosts = ...".
func (s *sudoers) rulesOf(spec sudoSpec) []facts.SudoRule {
	left, right, found := strings.Cut(spec.text, "=")
	if !found {
		s.fail("%s:%d: it cannot be read", spec.file, spec.line)
		return nil
	}
	// The hosts are the last word of the left side, with what commas join to it.
	words := strings.Fields(strings.ReplaceAll(sudoComma.ReplaceAllString(left, ","), `\ `, "\x00"))
	if len(words) < 2 {
		s.fail("%s:%d: it cannot be read", spec.file, spec.line)
		return nil
	}
	who := splitList(strings.ReplaceAll(strings.Join(words[:len(words)-1], " "), "\x00", " "))
	var rules []facts.SudoRule
	for _, list := range splitHosts(right) {
		for _, name := range s.expand(who, 0) {
			if strings.HasPrefix(name, "!") {
				continue
			}
			for _, rule := range s.commands(list) {
				rule.File, rule.Line, rule.Who = spec.file, spec.line, name
				rule.NoWord = rule.NoWord || slices.Contains(s.free, "ALL") || slices.Contains(s.free, name)
				rules = append(rules, rule)
			}
		}
		if len(rules) > filesLimit {
			return rules
		}
	}
	return rules
}

// nextHosts begins a further list for other hosts: " : hosts =".
var nextHosts = regexp.MustCompile(`\s:\s*[\w.,!\s/*-]+=`)

func splitHosts(right string) []string {
	var lists []string
	for {
		at := nextHosts.FindStringIndex(right)
		if at == nil {
			return append(lists, right)
		}
		lists = append(lists, right[:at[0]])
		right = right[at[1]:]
	}
}

var (
	sudoAs     = regexp.MustCompile(`^\(([^)]*)\)\s*`)
	sudoTag    = regexp.MustCompile(`^([A-Z_]+):\s*`)
	sudoOption = regexp.MustCompile(`^(?:ROLE|TYPE|PRIVS|LIMITPRIVS|NOTBEFORE|NOTAFTER|TIMEOUT|CWD|CHROOT|APPARMOR_PROFILE)=\S+\s+`)
)

// commands reads "(as) TAG: command, ...". Who it runs as and the tags hold for
// the commands that follow.
func (s *sudoers) commands(list string) []facts.SudoRule {
	var rules []facts.SudoRule
	as, noWord := "root", false
	for _, command := range splitList(protectRunas(list)) {
		command = strings.ReplaceAll(command, "\x00", ",")
		if match := sudoAs.FindStringSubmatch(command); match != nil {
			users, _, _ := strings.Cut(match[1], ":")
			as = strings.Join(s.expand(splitList(users), 0), ",")
			if as == "" {
				as = "root" // only groups may be chosen: kept as the worst
			}
			command = command[len(match[0]):]
		}
		for {
			if option := sudoOption.FindString(command); option != "" {
				command = command[len(option):]
				continue
			}
			match := sudoTag.FindStringSubmatch(command)
			if match == nil {
				break
			}
			switch match[1] {
			case "NOPASSWD":
				noWord = true
			case "PASSWD":
				noWord = false
			}
			command = command[len(match[0]):]
		}
		commands := s.expand([]string{unescape(command)}, 0)
		if n := len(rules); n > 0 && rules[n-1].As == as && rules[n-1].NoWord == noWord {
			rules[n-1].Commands = append(rules[n-1].Commands, commands...)
			continue
		}
		rules = append(rules, facts.SudoRule{As: as, NoWord: noWord, Commands: commands})
	}
	return rules
}

// protectRunas hides the commas inside parentheses from splitList.
func protectRunas(list string) string {
	return sudoParens.ReplaceAllStringFunc(list, func(part string) string {
		return strings.ReplaceAll(part, ",", "\x00")
	})
}

var escaped = regexp.MustCompile(`\\([,:=\\ ])`)

func unescape(text string) string { return escaped.ReplaceAllString(text, "$1") }
