package triage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/rooted"
)

func TestRedact(t *testing.T) {
	const hidden = "hunter2-hunter2"
	for _, line := range []string{
		"mysqldump -uroot -p" + hidden + " matomo",
		"mariadb --user=x --password=" + hidden,
		"php\n--token\n" + hidden,
		"curl -u admin:" + hidden + " https://x/",
		"curl https://admin:" + hidden + "@x/",
		`GET /matomo.php?idsite=1&token_auth=` + hidden + `&x=1 HTTP/1.1`,
		"Authorization: Bearer " + hidden,
		`{"password": "` + hidden + `"}`,
		"Cookie: MATOMO_SESSID=" + hidden + "; x=1",
		"salt = \"" + hidden + "\"",
		"-----BEGIN OPENSSH PRIVATE KEY-----\n" + hidden + "\n-----END OPENSSH PRIVATE KEY-----",
	} {
		if got := Redact(line); strings.Contains(got, hidden) || !strings.Contains(got, redacted) {
			t.Errorf("%q became %q", line, got)
		}
	}
	for _, line := range []string{"php-fpm: pool ui", "/usr/sbin/sshd -D", "GET /index.php?module=Login HTTP/1.1"} {
		if got := Redact(line); got != line {
			t.Errorf("%q became %q", line, got)
		}
	}
}

func TestSecrets(t *testing.T) {
	config := `; <?php exit; ?> DO NOT REMOVE THIS LINE
[database]
host = "localhost"
password = "pa&quot;ss&#36;word"
[General]
salt = "0123456789abcdef"
password_hash_algorithm = default
trusted_hosts[] = "example.org"
[mail]
password = 'mail-secret'
[Tracker]
secret = "x"
`
	var got []string
	for _, s := range Secrets([]byte(config)) {
		got = append(got, s.Reveal())
	}
	want := []string{"pa&quot;ss&#36;word", `pa"ss$word`, "0123456789abcdef", "mail-secret"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseStat(t *testing.T) {
	booted := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	got := parseStat("4711 (a) b\x1b(c)) S 1 4711 4711 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 360000 1 2", booted)
	want := Process{Name: "a) b?(c)", State: "S", Parent: 1, Started: booted.Add(time.Hour)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseMaps(t *testing.T) {
	gone, foreign, rwx := parseMaps(`5500-5600 r-xp 00000000 fe:01 12 /usr/local/bin/x (deleted)
5600-5700 r--p 00000000 fe:01 12 /usr/local/bin/x (deleted)
7f00-7f10 r-xp 00000000 fe:01 13 /tmp/lib with space.so
7f10-7f20 rwxp 00000000 00:00 0
7f20-7f30 rw-p 00000000 00:00 0 [heap]
7f30-7f40 r-xp 00000000 fe:01 14 /usr/lib/libc.so.6
7f40-7f50 rwxs 00000000 00:05 15 /dev/zero (deleted)
7f50-7f60 r-xp 00000000 00:01 16 /memfd:x (deleted)
`)
	if diff := cmp.Diff([]string{"/usr/local/bin/x", "/memfd:x"}, gone); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/tmp/lib with space.so"}, foreign); diff != "" {
		t.Error(diff)
	}
	if rwx != 2 {
		t.Errorf("%d regions are writable and run", rwx)
	}
	all := regions("1000-3000 rw-p 0 00:00 0 [heap]\n3000-4000 r--p 0 fe:01 9 /bin/x\n5000-6000 r--p 0 00:00 0 [vvar]\n7000-8000 ---p 0 00:00 0\n")
	if len(all) != 1 || all[0].from != 0x1000 || all[0].size != 0x2000 {
		t.Errorf("regions: %+v", all)
	}
}

func TestParseSockets(t *testing.T) {
	const text = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   110        0 4711 1
   1: 0200000A:01BB 097100CB:C350 01 00000000:00000000 00:00000000 00000000    33        0 4712 1
   2: 00000000000000000000000001000000:0050 0000000000000000FFFF0000097100CB:C351 01 0:0 0:0 0 33 0 4713 1
broken
`
	var got []string
	for _, s := range parseSockets(text, "tcp") {
		got = append(got, s.Here+" "+s.Remote+" "+s.State+" "+s.User+" "+s.inode)
	}
	want := []string{"127.0.0.1:3306 0.0.0.0:0 listen 110 4711", "10.0.0.2:443 203.0.113.9:50000 established 33 4712", "[::1]:80 203.0.113.9:50001 established 33 4713"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if (Socket{Remote: "127.0.0.1:1"}).Local() != true || (Socket{Remote: "203.0.113.9:1"}).Local() {
		t.Error("local and remote are not told apart")
	}
}

func TestParseLogins(t *testing.T) {
	for _, size := range []int{384, 400} {
		record := make([]byte, size)
		binary.LittleEndian.PutUint16(record, 7)
		binary.LittleEndian.PutUint32(record[4:], 99)
		copy(record[8:], "pts/0")
		copy(record[44:], "anna\x1b")
		copy(record[76:], "198.51.100.7")
		at := time.Date(2026, 11, 22, 3, 10, 0, 0, time.UTC)
		if size == 400 {
			binary.LittleEndian.PutUint64(record[344:], uint64(at.Unix()))
		} else {
			binary.LittleEndian.PutUint32(record[340:], uint32(at.Unix()))
		}
		got := parseLogins(append(append(make([]byte, size), record...), 1, 2, 3), size)
		want := []Login{{Kind: "session", User: "anna?", Line: "pts/0", From: "198.51.100.7", PID: 99, At: at}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("records of %d bytes: %s", size, diff)
		}
	}
}

func TestFingerprint(t *testing.T) {
	// ssh-keygen -lf says the same.
	const line = `from="10.0.0.1",command="x y" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILvDG2g4wHUNPHNCS5jGlrnUvJSbMpDJdJ3cXBzvVb7l anna`
	got := fingerprint(line, "ssh-ed25519")
	if !strings.HasPrefix(got, "SHA256:") || len(got) != len("SHA256:")+43 {
		t.Errorf("got %q", got)
	}
	for _, line := range []string{"", "ssh-ed25519", "ssh-ed25519 %%%"} {
		if got := fingerprint(line, "ssh-ed25519"); got != "" {
			t.Errorf("%q has the fingerprint %q", line, got)
		}
	}
}

// TestPackagedPrograms compares a program with its package.
func TestPackagedPrograms(t *testing.T) {
	root := t.TempDir()
	info := filepath.Join(root, "var/lib/dpkg/info")
	if err := os.MkdirAll(info, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(info, "coreutils:amd64.md5sums"), []byte("0123456789abcdef0123456789abcdef  bin/sleep\nffff  usr/share/doc/x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := &collector{root: rooted.Dir(root)}
	if sum, of := c.packaged("/usr/bin/sleep"); sum != "0123456789abcdef0123456789abcdef" || of != "coreutils" {
		t.Errorf("/usr/bin/sleep is %s of %q", sum, of)
	}
	if _, of := c.packaged("/usr/share/doc/x"); of != "" {
		t.Error("a document is a program")
	}
}

// TestCollectHere takes this machine: what it holds is not known, but that this
// test runs on it is.
func TestCollectHere(t *testing.T) {
	files := map[string]*bytes.Buffer{}
	o := Options{PIDs: []int{os.Getpid()}, Limit: 4 << 20,
		Put: func(name string, fill func(io.Writer) error) error {
			var whole bytes.Buffer
			if err := fill(&whole); err != nil {
				return err
			}
			files[name] = &whole
			return nil
		},
		Written: map[string]string{"/etc/passwd": "00", "/nowhere": "11"},
	}
	doc, err := Collect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(doc.Processes, func(p Process) bool { return p.PID == os.Getpid() })
	if at < 0 {
		t.Fatal("this process is not listed")
	}
	own := doc.Processes[at]
	if own.Parent != os.Getppid() || own.Started.IsZero() || len(own.Argv) == 0 || !strings.Contains(own.Exe, "triage.test") {
		t.Errorf("this process: %+v", own)
	}
	if !slices.ContainsFunc(doc.Executable, func(e Executable) bool { return e.Path == own.Exe && len(e.SHA256) == 64 }) {
		t.Error("this program was not hashed")
	}
	if !slices.ContainsFunc(doc.Suspects, func(s Suspect) bool { return s.PID == os.Getpid() && slices.Contains(s.Why, "it was named") }) {
		t.Error("a process that was named is no suspect")
	}
	if len(doc.Changed) != 2 || doc.Changed[0].Path != "/etc/passwd" || doc.Changed[1].Have != "" {
		t.Errorf("changed: %+v", doc.Changed)
	}
	if files["triage.json"] == nil {
		t.Error("there is no triage.json")
	}
}

func TestLimitHolds(t *testing.T) {
	taken := 0
	c := &collector{left: 10, Options: Options{Put: func(_ string, fill func(io.Writer) error) error {
		var whole bytes.Buffer
		err := fill(&whole)
		taken += whole.Len()
		return err
	}}}
	write := func(text string) func(io.Writer) error {
		return func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		}
	}
	if err := c.put("a", 5, write("12345")); err != nil {
		t.Error(err)
	}
	if err := c.put("b", 6, write("123456")); err == nil {
		t.Error("a file beyond the limit is taken")
	}
	if err := c.put("c", 0, write("123456")); !errors.Is(err, errLimit) {
		t.Errorf("a file that grows beyond the limit: %v", err)
	}
	if taken > 10 {
		t.Errorf("%d bytes were taken", taken)
	}
}

func FuzzParsers(f *testing.F) {
	f.Add("1 (x) S 1 2 3")
	f.Add("7f00-7f10 r-xp 0 0 0 /x (deleted)")
	f.Add("  0: 0100007F:0050 00000000:0000 0A 0 0 0 0 0 0 1")
	f.Add("salt = \"x\"\n-----BEGIN PRIVATE KEY-----")
	f.Fuzz(func(t *testing.T, text string) {
		parseStat(text, time.Time{})
		parseMaps(text)
		regions(text)
		parseSockets(text, "tcp")
		parseLogins([]byte(text), 384)
		parseModules(text)
		Secrets([]byte(text))
		fingerprint(text, "ssh-rsa")
		if name := parseStat(text, time.Time{}).Name; strings.ContainsAny(name, "\x1b\n") {
			t.Errorf("a name can control a terminal: %q", name)
		}
	})
}
