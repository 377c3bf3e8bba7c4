package demo

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rocca/internal/blueprint"
	"rocca/internal/config"
	"rocca/internal/run"

	"github.com/goccy/go-yaml"
)

// likesDir keeps still trees of servers like some machine, by what went in.
const likesDir = "/var/cache/rocca/twins"

// likesKept is how many of them are kept.
const likesKept = 3

// likeSchema changes when such trees are made in another way.
const likeSchema = 1

// Like returns the options of a throw-away server like this machine: the same
// Debian, the very files of its Matomo, and of its configuration what says how
// it is protected. Names, certificates, secrets, other machines and other
// applications are left out. That machine was set up by rocca.
func Like(c config.Config) (Options, error) {
	failed := func(err error) (Options, error) {
		return Options{}, fmt.Errorf("make a server like this machine: %w", err)
	}
	if _, err := os.Stat(Mark); err == nil {
		return failed(errors.New("it is a throw-away server itself\nhint: rocca prove on the host that it runs on"))
	}
	layout := blueprint.NewLayout(c, "")
	code, err := filepath.EvalSymlinks(layout.Link)
	if err != nil {
		return failed(err)
	}
	version := strings.TrimPrefix(filepath.Base(code), filepath.Base(layout.Code))
	if _, err := os.Stat(blueprint.NewLayout(c, version).Record); err != nil {
		return failed(errors.New("rocca did not install the Matomo that is on it"))
	}
	debian, err := hostDebian()
	if err != nil {
		return failed(err)
	}
	text, err := likeConfig(c)
	if err != nil {
		return failed(err)
	}
	return Options{Debian: debian, Front: c.Front, Config: text, Release: code, AcceptUnsigned: true}, nil
}

// likeConfig is the part of a configuration that fits a throw-away server.
func likeConfig(c config.Config) ([]byte, error) {
	return yaml.Marshal(map[string]any{
		"front": c.Front, "base": c.Base, "state": c.State, "trim": c.Trim,
		"database":       map[string]any{"name": c.Database.Name, "prefix": c.Database.Prefix},
		"admin_networks": c.AdminNetworks, "ssh_networks": c.SSHNetworks, "ports": c.Ports, "outbound": c.Outbound,
		"hardening": c.Hardening, "privacy": c.Privacy,
	})
}

// hostDebian is the number of this machine's Debian.
func hostDebian() (string, error) {
	text, err := os.ReadFile("/etc/debian_version")
	if err != nil {
		return "", fmt.Errorf("read which Debian this is: %w", err)
	}
	number, _, _ := strings.Cut(strings.TrimSpace(string(text)), ".")
	if codename(number) == "" {
		return "", fmt.Errorf("read which Debian this is: it is %q, and rocca knows 12 and 13", strings.TrimSpace(string(text)))
	}
	return number, nil
}

// StillLike gives the still tree of a server made with some options, but for its
// name. It is made once, which takes as long as Up, and kept for further runs.
// Unlike Up it installs nothing on this machine, which is one in use.
func StillLike(ctx context.Context, o Options) (*Still, error) {
	say := sayer(o.Progress)
	if err := needRoot(); err != nil {
		return nil, err
	}
	if missing := missingTools(); len(missing) > 0 {
		return nil, fmt.Errorf("this machine lacks %s, and nothing is installed on it\nhint: apt-get install --no-install-recommends %s", strings.Join(missing, ", "), strings.Join(missing, " "))
	}
	key, err := o.key()
	if err != nil {
		return nil, err
	}
	o.Name = "like-" + key
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	dir := filepath.Join(likesDir, key)
	unlock, err := lock(ctx, dir+".lock", func() { say("waiting for another rocca that makes the same server") })
	if err != nil {
		return nil, err
	}
	defer unlock()
	if still, err := openStill(dir); err == nil {
		now := time.Now()
		return still, os.Chtimes(dir, now, now)
	}
	if err := makeLike(ctx, o, dir, say); err != nil {
		return nil, err
	}
	still, err := openStill(dir)
	return still, errors.Join(err, forgetLikes())
}

// makeLike makes a server, stops it, and keeps its tree.
func makeLike(ctx context.Context, o Options, dir string, say func(string, ...any)) (err error) {
	own, err := identify(os.Getpid())
	if err != nil {
		return err
	}
	o.maker = own
	down := func() error { return Down(context.WithoutCancel(ctx), o.Name, nil) }
	if err := down(); err != nil { // what a killed one left
		return err
	}
	defer func() { err = errors.Join(err, down()) }()
	s, err := Up(ctx, o)
	if err != nil {
		return err
	}
	if !s.powerOff(ctx, say) {
		return fmt.Errorf("keep demo server %s: it does not power off", s.Name)
	}
	building := dir + ".building"
	still := &Still{Of: ThisMachine, Debian: s.Debian, Weak: s.Weak, Bare: s.Bare, dir: building}
	if err := errors.Join(removeTree(building), removeTree(dir), os.MkdirAll(building, 0o700), still.save()); err != nil {
		return fmt.Errorf("keep demo server %s: %w", s.Name, err)
	}
	for _, path := range []string{"/var/cache/apt/archives", guestArchives} {
		if err := os.RemoveAll(s.Root + path); err != nil {
			return fmt.Errorf("keep demo server %s: %w", s.Name, err)
		}
	}
	if _, err := run.Do(ctx, run.Command{Argv: []string{"mv", "--no-target-directory", "--", s.Root, still.tree()}}); err != nil {
		return err
	}
	if err := os.Rename(building, dir); err != nil {
		return fmt.Errorf("keep demo server %s: %w", s.Name, err)
	}
	return nil
}

// key tells servers apart by what goes into them.
func (o Options) key() (string, error) {
	o, err := o.withDefaults()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	program, err := os.Open(o.Binary)
	if err == nil {
		_, err = io.Copy(sum, program)
		err = errors.Join(err, program.Close())
	}
	if err == nil {
		err = stamp(sum, o.Release, o.ReleaseKey)
	}
	if err != nil {
		return "", fmt.Errorf("look at what a server is made of: %w", err)
	}
	err = json.NewEncoder(sum).Encode([]any{likeSchema, o.Debian, o.Bare, o.Weak, o.Release, o.NewestRelease, o.AcceptUnsigned, o.Front, o.Config, o.Packages})
	return fmt.Sprintf("%x", sum.Sum(nil)[:8]), err
}

// stamp writes names, sizes and times of what is at and below some paths. A
// release that is no path of this host has none.
func stamp(w io.Writer, paths ...string) error {
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err == nil {
				_, err = fmt.Fprintln(w, name, info.Mode(), info.Size(), info.ModTime().UnixNano())
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// forgetLikes removes all but the trees that were used last. Those that a
// server stands on stay.
func forgetLikes() error {
	entries, err := os.ReadDir(likesDir)
	if err != nil {
		return fmt.Errorf("list the still trees: %w", err)
	}
	servers, err := List()
	if err != nil {
		return err
	}
	used := map[string]time.Time{}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && entry.IsDir() && filepath.Ext(entry.Name()) == "" {
			used[filepath.Join(likesDir, entry.Name())] = info.ModTime()
		}
	}
	newest := slices.SortedFunc(maps.Keys(used), func(a, b string) int { return used[b].Compare(used[a]) })
	for _, dir := range newest[min(likesKept, len(newest)):] {
		if slices.ContainsFunc(servers, func(s *Server) bool { return s.Still == dir }) {
			continue
		}
		if err := removeTree(dir); err != nil {
			return err
		}
	}
	return nil
}
