package host

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
)

// firstPerson is the lowest UID that Debian gives to a person (login.defs(5)).
const (
	firstPerson = 1000
	nobody      = 65534
)

// rootNames reads the accounts of a root.
func rootNames(root Root) (names, error) {
	var n names
	passwd, err := root.read("/etc/passwd")
	if err != nil {
		return n, fmt.Errorf("read accounts: %w", err)
	}
	n.passwd, n.byUID = parseColons(passwd, 7)
	group, err := root.read("/etc/group")
	if err != nil {
		return n, fmt.Errorf("read accounts: %w", err)
	}
	n.group, n.byGID = parseColons(group, 4)
	return n, nil
}

// accounts returns all users and groups. What is given back along with an error
// is what could be seen without shadow(5) or other sources of accounts.
func accounts(root Root, n names) (map[string]facts.User, map[string]facts.Group, error) {
	words, problem := shadow(root)
	users := map[string]facts.User{}
	for _, line := range n.passwd {
		uid, err := strconv.Atoi(line[2])
		if _, taken := users[line[0]]; err != nil || taken {
			continue // an entry for NIS, or one that getpwnam(3) never finds
		}
		word := line[1]
		if word == "x" {
			stored, there := words[line[0]]
			word = stored
			if !there {
				word = "*" // without an entry nothing matches
			}
		}
		users[line[0]] = facts.User{
			Exists: true, UID: uid, Group: nameOf(n.byGID, line[3]), Home: line[5], Shell: line[6],
			Locked:  words != nil && (strings.HasPrefix(word, "!") || strings.HasPrefix(word, "*")),
			NoWord:  words != nil && word == "",
			Service: uid < firstPerson || uid == nobody,
		}
	}
	all := make([]string, 0, len(n.group))
	for _, line := range n.group {
		if _, err := strconv.Atoi(line[2]); err == nil {
			all = append(all, line[0])
		}
	}
	return users, n.groups(all), errors.Join(problem, otherSources(root))
}

// shadow returns the stored password hashes by user.
func shadow(root Root) (map[string]string, error) {
	content, err := root.read("/etc/shadow")
	if errors.Is(err, fs.ErrPermission) {
		return nil, errors.New("read /etc/shadow: not allowed, so it is not known which accounts are locked\nhint: run rocca as root")
	}
	if err != nil {
		return nil, fmt.Errorf("read password states: %w", err)
	}
	words := map[string]string{}
	for line := range strings.Lines(content) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if _, taken := words[fields[0]]; len(fields) >= 2 && !taken {
			words[fields[0]] = fields[1]
		}
	}
	return words, nil
}

// otherSources says when accounts come from elsewhere than files
// (nsswitch.conf(5)), where nobody here can list them.
func otherSources(root Root) error {
	content, err := root.readIfThere("/etc/nsswitch.conf")
	if err != nil {
		return fmt.Errorf("read where accounts come from: %w", err)
	}
	local := []string{"files", "compat", "systemd", "db", "nis"}
	for line := range strings.Lines(content) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "passwd:" {
			continue
		}
		for _, source := range fields[1:] {
			if !strings.HasPrefix(source, "[") && !slices.Contains(local, source) {
				return fmt.Errorf("list accounts: those of %s are not in /etc/passwd", source)
			}
		}
	}
	return nil
}
