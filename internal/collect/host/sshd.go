package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/run"
)

// sshServer looks at the secure shell server, and who may log in by key.
func sshServer(ctx context.Context, root Root, users map[string]facts.User, packages map[string]facts.Package, units map[string]facts.Unit) (facts.SSH, error) {
	s := facts.SSH{Installed: root.exists("/usr/sbin/sshd")}
	s.Version = opensshVersion(packages["openssh-server"].Version)
	for _, name := range []string{"ssh.service", "ssh.socket", "sshd.service", "sshd.socket"} {
		s.Running = s.Running || units[name].Active
	}
	var problem error
	if s.Installed {
		s.Settings, problem = sshdSettings(ctx, root)
	}
	patterns := []string{".ssh/authorized_keys", ".ssh/authorized_keys2"} // the default of OpenSSH
	if set := s.Settings["authorizedkeysfile"]; len(set) > 0 {
		patterns = strings.Fields(strings.Join(set, " "))
	}
	var err error
	s.Keys, err = authorizedKeys(root, users, patterns)
	return s, errors.Join(problem, err)
}

// sshdSettings asks sshd for its settings in effect.
func sshdSettings(ctx context.Context, root Root) (map[string][]string, error) {
	if !root.live() {
		return nil, fmt.Errorf("ask sshd for its settings: %s is not the running system", root)
	}
	result, err := run.Do(ctx, run.Command{Argv: []string{"/usr/sbin/sshd", "-T"}})
	if err != nil && os.Geteuid() != 0 {
		return nil, onlyRoot("ask sshd for its settings")
	}
	if err != nil {
		return nil, fmt.Errorf("ask sshd for its settings: %w", err)
	}
	return parseSSHD(string(result.Stdout)), nil
}

// parseSSHD reads what `sshd -T` prints: a key may have several lines.
func parseSSHD(content string) map[string][]string {
	settings := map[string][]string{}
	for line := range strings.Lines(content) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key != "" {
			key = strings.ToLower(key)
			settings[key] = append(settings[key], strings.TrimSpace(value))
		}
	}
	return settings
}

var upstreamVersion = regexp.MustCompile(`^(?:\d+:)?(\d+\.\d+)p?`)

// opensshVersion is the release in the version of Debian's package.
func opensshVersion(version string) string {
	if match := upstreamVersion.FindStringSubmatch(version); match != nil {
		return match[1]
	}
	return ""
}
