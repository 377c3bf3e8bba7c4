package triage

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

type sums struct {
	sha256, md5 string
	packed      bool
}

// hashLimit is the largest file that is hashed, in bytes.
const hashLimit = 1 << 30

// hash reads a file once for both hashes. MD5 is what Debian's packages have.
func hash(name string) (sums, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return sums{}, err
	}
	defer file.Close()
	long, short := sha256.New(), md5.New()
	if _, err := io.Copy(io.MultiWriter(long, short), io.LimitReader(file, hashLimit)); err != nil {
		return sums{}, err
	}
	return sums{hex.EncodeToString(long.Sum(nil)), hex.EncodeToString(short.Sum(nil)), isPacked(file)}, nil
}

func ownerOf(info fs.FileInfo) uint32 {
	if stat, known := info.Sys().(*syscall.Stat_t); known {
		return stat.Uid
	}
	return 0
}

// changedAt is the ctime, which cannot be set back.
func changedAt(info fs.FileInfo) time.Time {
	if stat, known := info.Sys().(*syscall.Stat_t); known {
		return time.Unix(stat.Ctim.Unix()).UTC()
	}
	return time.Time{}
}

// packaged gives the MD5 that Debian's package of a program has, and its name.
func (c *collector) packaged(name string) (md5, of string) {
	if c.packages == nil {
		c.packages = packagedPrograms(string(c.root))
	}
	// Without merged directories a package may have it as bin/x, not usr/bin/x.
	for _, candidate := range []string{name, strings.TrimPrefix(name, "/usr")} {
		if entry, known := c.packages[candidate]; known {
			md5, of, _ = strings.Cut(entry, " ")
			return md5, of
		}
	}
	return "", ""
}

// packagedPrograms reads the lists of dpkg: "md5 package" by path, of what is in
// a directory of programs.
func packagedPrograms(root string) map[string]string {
	found := map[string]string{}
	lists, err := filepath.Glob(root + "/var/lib/dpkg/info/*.md5sums")
	if err != nil {
		return found
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(list), ".md5sums"), ":")
		for line := range strings.Lines(string(text)) {
			sum, path, _ := strings.Cut(strings.TrimSpace(line), "  ")
			if strings.Contains(path, "bin/") || strings.Contains(path, "lib/") || strings.Contains(path, "libexec/") {
				found["/"+path] = sum + " " + name
			}
		}
	}
	return found
}

// Key is a key that may log in.
type Key struct {
	User        string    `json:"user"`
	File        string    `json:"file"`
	Line        int       `json:"line"`
	Type        string    `json:"type"`
	Fingerprint string    `json:"fingerprint"` // as ssh-keygen -l shows it
	Comment     string    `json:"comment,omitempty"`
	Options     []string  `json:"options,omitempty"`
	Changed     time.Time `json:"changed,omitzero"`
}

// keys adds the fingerprints to the keys that the survey found.
func (c *collector) keys(context.Context) error {
	lines := map[string][]string{}
	var problems []error
	for _, key := range c.doc.Facts.SSH.Keys {
		if _, read := lines[key.File]; !read {
			text, err := c.root.Read(key.File, 1<<20)
			problems = append(problems, err)
			lines[key.File] = strings.Split(string(text), "\n")
		}
		k := Key{User: key.User, File: key.File, Line: key.Line, Type: key.Type, Comment: key.Comment, Options: key.Options, Changed: key.Changed}
		if all := lines[key.File]; key.Line > 0 && key.Line <= len(all) {
			k.Fingerprint = fingerprint(all[key.Line-1], key.Type)
		}
		c.doc.Keys = append(c.doc.Keys, k)
	}
	return errors.Join(problems...)
}

// fingerprint finds the key behind its type in a line of authorized_keys.
func fingerprint(line, kind string) string {
	fields := strings.Fields(line)
	at := slices.Index(fields, kind)
	if at < 0 || at+1 >= len(fields) {
		return ""
	}
	blob, err := base64.StdEncoding.DecodeString(fields[at+1])
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(blob)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// Starter is a file that makes something run by itself.
type Starter struct {
	Path    string    `json:"path"`
	Owner   uint32    `json:"owner"`
	Mode    string    `json:"mode"`
	Changed time.Time `json:"changed"` // ctime: it cannot be set back
	Target  string    `json:"target,omitempty"`
	SHA256  string    `json:"sha256,omitempty"`
	Rocca   bool      `json:"rocca,omitempty"` // as rocca wrote it
}

// places are where such files are; what packages bring is in others.
var places = []string{
	"/etc/crontab", "/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly", "/var/spool/cron", "/var/spool/at",
	"/etc/systemd/system", "/run/systemd/system", "/run/systemd/transient", "/usr/local/lib/systemd", "/etc/systemd/user", "/root/.config/systemd",
	"/etc/init.d", "/etc/rc.local", "/etc/profile", "/etc/profile.d", "/etc/bash.bashrc", "/root/.bashrc", "/root/.profile", "/root/.bash_profile",
	"/etc/ld.so.preload", "/etc/ld.so.conf.d", "/etc/modules-load.d", "/etc/modprobe.d", "/etc/udev/rules.d", "/etc/pam.d", "/etc/sudoers", "/etc/sudoers.d",
	"/etc/apt/apt.conf.d", "/etc/update-motd.d", "/usr/local/bin", "/usr/local/sbin", "/etc/php",
}

// starterLimit bounds the list.
const starterLimit = 4000

func (c *collector) starters(ctx context.Context) error {
	for _, place := range places {
		err := filepath.WalkDir(string(c.root)+place, func(name string, d fs.DirEntry, err error) error {
			if err != nil || ctx.Err() != nil {
				return ctx.Err()
			}
			if d.IsDir() {
				return nil
			}
			if len(c.doc.Starters) == starterLimit {
				return fmt.Errorf("list what starts by itself: more than %d files", starterLimit)
			}
			if s, seen := c.starter(name); seen {
				c.doc.Starters = append(c.doc.Starters, s)
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	slices.SortStableFunc(c.doc.Starters, func(a, b Starter) int { return b.Changed.Compare(a.Changed) })
	return nil
}

func (c *collector) starter(name string) (Starter, bool) {
	info, err := os.Lstat(name)
	if err != nil {
		return Starter{}, false
	}
	s := Starter{Path: filepath.Clean("/" + strings.TrimPrefix(name, string(c.root))), Owner: ownerOf(info), Mode: info.Mode().String(), Changed: changedAt(info)}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		s.Target, _ = os.Readlink(name)
	case info.Mode().IsRegular():
		if found, err := hash(name); err == nil {
			s.SHA256 = found.sha256
		}
		s.Rocca = s.SHA256 != "" && c.Written[s.Path] == s.SHA256
	}
	return s, true
}

// Changed is a file of rocca that is not as it wrote it.
type Changed struct {
	Path    string    `json:"path"`
	Want    string    `json:"want"`           // SHA-256
	Have    string    `json:"have,omitempty"` // empty: it is gone
	Changed time.Time `json:"changed,omitzero"`
}

func (c *collector) changed(context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(c.Written)) {
		found, err := hash(string(c.root) + name)
		if err == nil && found.sha256 == c.Written[name] {
			continue
		}
		changed := Changed{Path: name, Want: c.Written[name], Have: found.sha256}
		if info, err := os.Lstat(string(c.root) + name); err == nil {
			changed.Changed = changedAt(info)
		}
		c.doc.Changed = append(c.doc.Changed, changed)
	}
	return nil
}

// NewPHP is code of Matomo that is not, or not only, the release's.
type NewPHP struct {
	Path    string    `json:"path"`
	Why     string    `json:"why"`
	SHA256  string    `json:"sha256,omitempty"`
	Owner   uint32    `json:"owner"`
	Changed time.Time `json:"changed,omitzero"` // ctime
}

// newLimit bounds the list of new code.
const newLimit = 1000

// newCode lists what the comparison with the release found, and PHP that was
// changed after the bulk of the code was put there.
func (c *collector) newCode() {
	root := c.doc.Facts.Matomo.Real
	if root == "" {
		root = c.doc.Facts.Matomo.Root
	}
	if root == "" {
		return
	}
	seen := map[string]bool{}
	add := func(name, why string) {
		if seen[name] || len(c.doc.NewPHP) == newLimit {
			return
		}
		seen[name] = true
		n := NewPHP{Path: name, Why: why}
		if info, err := os.Lstat(string(c.root) + name); err == nil {
			n.Owner, n.Changed = ownerOf(info), changedAt(info)
			if info.Mode().IsRegular() {
				if found, err := hash(string(c.root) + name); err == nil {
					n.SHA256 = found.sha256
				}
			}
		}
		c.doc.NewPHP = append(c.doc.NewPHP, n)
	}
	integrity := c.doc.Facts.Integrity
	for _, f := range integrity.Changed {
		add(filepath.Join(root, f.Path), "not as released")
	}
	for _, name := range integrity.Extra {
		add(filepath.Join(root, name), "no release has it")
	}
	for _, s := range integrity.Steering {
		if !s.Expected {
			add(s.Path, s.Kind+": "+s.Why)
		}
	}
	for _, f := range integrity.Foreign {
		add(f.Path, "PHP in tmp: "+f.Why)
	}
	c.miss("code newer than the release", c.newer(root, add))
}

// newer finds PHP that was changed later than the code was put there: an hour
// after core/Version.php, which every installation writes.
func (c *collector) newer(root string, add func(name, why string)) error {
	top := string(c.root) + root
	info, err := os.Lstat(filepath.Join(top, "core/Version.php"))
	if err != nil {
		return err
	}
	after := changedAt(info).Add(time.Hour)
	return filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".php") {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if changedAt(info).After(after) {
			add(filepath.Clean("/"+strings.TrimPrefix(name, string(c.root))), "changed after the code was installed")
		}
		return nil
	})
}
