package host

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"rocca/internal/facts"
	"rocca/internal/secret"
)

// machine is a whole root: that of the other tests together.
func machine(t testing.TB) Root {
	root := procTree(t)
	all := maps.Clone(aptTree)
	maps.Copy(all, map[string]string{
		"etc/passwd": passwdText, "etc/shadow": shadowText, "etc/group": groupText, "etc/crontab": crontabText,
		"proc/1/mountinfo": mountsText, "proc/meminfo": "MemTotal: 1 kB\n", "proc/sys/kernel/osrelease": "6.1\n",
		"etc/sudoers": "root ALL=(ALL) ALL\n", "home/anna/.ssh/authorized_keys": "ssh-ed25519 " + edKey + "\n",
	})
	from := plant(t, all)
	if err := os.CopyFS(string(root), os.DirFS(string(from))); err != nil {
		t.Fatal(err)
	}
	return root
}

// TestSurvey: a section that fails says why, and the others go on.
func TestSurvey(t *testing.T) {
	root := machine(t)
	s := Survey(t.Context(), Scope{Root: root, Secrets: []secret.Secret{secret.New("known-word"), secret.New("x")}})
	for _, section := range []facts.Section{facts.Running, facts.Accounts, facts.Scheduled} {
		if why, seen := s.Sections[section]; why != "" || !seen {
			t.Errorf("%s: %q %v", section, why, seen)
		}
	}
	// Nothing that runs is asked below another root, and who needs to know says so.
	for _, section := range []facts.Section{facts.Services, facts.Filter, facts.Remote, facts.Network, facts.Logging} {
		if why := s.Sections[section]; !strings.Contains(why, "is not the running system") {
			t.Errorf("%s: %q", section, why)
		}
	}
	if len(s.Sections) != 10 {
		t.Errorf("sections %v", slices.Sorted(maps.Keys(s.Sections)))
	}
	if len(s.Users) != 7 || len(s.Sudo) != 3 || len(s.Jobs) != 3 || len(s.Processes) != 3 || len(s.Listeners) != 3 || len(s.Sockets) != 3 ||
		len(s.Mounts) != 3 || len(s.SSH.Keys) != 1 || s.OS.ID != "debian" || s.Memory != 1024 || s.Observed.IsZero() {
		t.Errorf("%+v", s)
	}
	var encoded bytes.Buffer
	if err := facts.Encode(&encoded, s); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"known-word", "$y$j9T", "user:word", "u:word", "--token=abc"} {
		if strings.Contains(encoded.String(), word) {
			t.Errorf("facts show %q", word)
		}
	}
}

// TestSurveyOfNothing: an empty root gives reasons, no panic and no false facts.
func TestSurveyOfNothing(t *testing.T) {
	s := Survey(t.Context(), Scope{Root: Root(t.TempDir())})
	for _, section := range []facts.Section{facts.Accounts, facts.Software, facts.KernelOf, facts.Running, facts.Network, facts.Services, facts.Remote} {
		if s.Sections[section] == "" {
			t.Errorf("%s was seen where nothing is", section)
		}
	}
}

// TestSurveyAsNobody: a user without rights is told in one line what was not
// seen, and that root would see it.
func TestSurveyAsNobody(t *testing.T) {
	const asked = "TEST_SURVEY"
	if os.Getenv(asked) != "" {
		if err := json.NewEncoder(os.Stdout).Encode(Survey(t.Context(), Scope{}).Sections); err != nil {
			t.Fatal(err)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestSurveyAsNobody$")
	cmd.Env = []string{asked + "=1"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	line, _, _ := strings.Cut(string(out), "\n")
	var sections map[facts.Section]string
	if err != nil || json.Unmarshal([]byte(line), &sections) != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for section, why := range sections {
		if strings.Contains(why, "\n") {
			t.Errorf("%s tells of it in several lines: %q", section, why)
		}
	}
	for _, section := range []facts.Section{facts.Accounts, facts.Running, facts.Network} {
		if !strings.Contains(sections[section], "(run rocca as root") {
			t.Errorf("%s: %q", section, sections[section])
		}
	}
}

func TestWatched(t *testing.T) {
	s := facts.Server{
		Users:     map[string]facts.User{"anna": {Home: "/home/anna", Shell: "/bin/sh"}, "nobody": {Home: "/nonexistent"}},
		Units:     map[string]facts.Unit{"x.service": {Fragment: "/etc/systemd/system/x.service", DropIns: []string{"/etc/systemd/system/x.service.d/a.conf"}, Runs: facts.Runs{Exec: []facts.Exec{{Path: "/usr/bin/php", Args: []string{"/srv/console", "-c", "exec /opt/y --a"}}}, EnvFiles: []string{"-/etc/default/x"}}}},
		Jobs:      []facts.Job{{File: "/etc/cron.d/x", Programs: []string{"/opt/job"}}},
		Sudo:      []facts.SudoRule{{File: "/etc/sudoers.d/x", Commands: []string{"/bin/systemctl restart x", "ALL"}}},
		Sockets:   []facts.Socket{{Path: "/run/x.sock"}},
		Processes: []facts.Process{{Program: "/usr/sbin/x"}, {}},
		Logs:      facts.Logs{Files: []facts.LogFile{{Path: "/var/log/x.log"}}},
		SSH:       facts.SSH{Keys: []facts.AuthorizedKey{{File: "/etc/ssh/keys/anna"}}, Settings: map[string][]string{"hostkey": {"/etc/ssh/key"}, "authorizedkeyscommand": {"/opt/keys %u"}}},
		Apt:       facts.Apt{Sources: []facts.AptSource{{File: "/etc/apt/sources.list", Signed: "/usr/share/keyrings/x.gpg"}}},
	}
	got := Watched(s)
	for _, want := range []string{
		"/etc/passwd", "/etc/shadow", "/home/anna", "/home/anna/.ssh/authorized_keys", "/bin/sh", "/etc/systemd/system/x.service", "/etc/systemd/system/x.service.d/a.conf",
		"/usr/bin/php", "/srv/console", "/opt/y", "/etc/default/x", "/etc/cron.d/x", "/opt/job", "/etc/sudoers.d/x", "/bin/systemctl", "/run/x.sock", "/usr/sbin/x",
		"/var/log/x.log", "/etc/ssh/keys/anna", "/etc/ssh/key", "/opt/keys", "/usr/share/keyrings/x.gpg",
	} {
		if _, found := slices.BinarySearch(got, want); !found {
			t.Errorf("%s is not watched", want)
		}
	}
	for _, name := range got {
		if !strings.HasPrefix(name, "/") || strings.Contains(name, "nonexistent") {
			t.Errorf("%q is watched", name)
		}
	}
}
