package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rocca/internal/blueprint"
	"rocca/internal/config"
	"rocca/internal/run"

	"golang.org/x/sys/unix"
)

// baseSchema changes when base trees are built in another way, so that those
// of an older rocca are not used.
const baseSchema = 1

// codename returns the name of a Debian release that rocca knows, or "".
func codename(debian string) string {
	switch debian {
	case "12":
		return "bookworm"
	case "13":
		return "trixie"
	}
	return ""
}

// bareSystem is what debootstrap adds to the smallest Debian: what a server
// has before anything is installed on it.
func bareSystem() []string {
	return []string{
		"systemd", "systemd-sysv", "dbus", "ca-certificates", "procps", "iproute2",
		"netbase", "tzdata", "cron", "logrotate", "less",
	}
}

// Packages are what the servers of this package install: rocca's own and the
// weak ones.
func Packages(debian string) []string {
	const anyPHP = "" // php-fpm and so on, whatever the branch
	number, _ := strconv.Atoi(debian)
	packages := []string{"mariadb-server", "libapache2-mod-php", "acl"}
	packages = append(packages, blueprint.PlatformPackages()...)
	packages = append(packages, blueprint.Packages(config.FrontNginx, anyPHP, number)...)
	packages = append(packages, blueprint.Packages(config.FrontApache, anyPHP, number)...)
	slices.Sort(packages)
	return slices.Compact(packages)
}

// baseTree is a bare Debian that is copied for each server, with packages
// downloaded into its apt cache but not installed.
type baseTree struct {
	Debian   string
	Packages []string
}

func (b baseTree) path() string {
	packages := slices.Clone(b.Packages)
	slices.Sort(packages)
	key := sha256.Sum256(fmt.Appendf(nil, "%d %s %q %q", baseSchema, runtime.GOARCH, bareSystem(), slices.Compact(packages)))
	return filepath.Join(cacheDir, fmt.Sprintf("%s-%x", codename(b.Debian), key[:6]))
}

// ensure builds the tree if it is not in the cache. A tree has its name only
// when it is whole; what an interrupted build left is removed.
func (b baseTree) ensure(ctx context.Context, say func(string, ...any)) (string, error) {
	target := b.path()
	unlock, err := lock(ctx, target+".lock", func() {
		say("waiting for another rocca that builds the base tree %s", filepath.Base(target))
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	if info, err := os.Stat(target); err == nil {
		say("using the base tree of Debian %s made on %s", b.Debian, info.ModTime().Format(time.DateOnly))
		return target, nil
	}
	groups, err := freshCgroup("rocca-base." + filepath.Base(target)) // no server's: their names have no dot
	if err != nil {
		return "", err
	}
	leftovers, _ := filepath.Glob(target + ".building-*")
	for _, leftover := range leftovers {
		if err := removeTree(leftover); err != nil {
			say("left over from an interrupted build: %v", err)
		}
	}
	if err := needSpace(cacheDir, 2<<30); err != nil {
		return "", err
	}
	if err := ensureTools(ctx, say); err != nil {
		return "", err
	}
	building, err := os.MkdirTemp(cacheDir, filepath.Base(target)+".building-")
	if err != nil {
		return "", fmt.Errorf("build a base tree: %w", err)
	}
	if err := os.Chmod(building, 0o755); err != nil { // it becomes a server's root directory
		return "", fmt.Errorf("build a base tree: %w", err)
	}
	if err := b.build(ctx, building, groups, say); err != nil {
		return "", errors.Join(fmt.Errorf("build a base tree of Debian %s: %w", b.Debian, err), emptyCgroups(groups), removeTree(building))
	}
	if err := emptyCgroups(groups); err != nil {
		return "", err
	}
	if err := os.Rename(building, target); err != nil {
		return "", fmt.Errorf("build a base tree of Debian %s: %w", b.Debian, err)
	}
	return target, nil
}

func (b baseTree) build(ctx context.Context, dir string, groups []string, say func(string, ...any)) error {
	source, err := hostMirror()
	if err != nil {
		return err
	}
	if _, err := os.Stat(source.Keyring); err != nil {
		return fmt.Errorf("find the keys of the Debian archive: %w\nhint: apt-get install debian-archive-keyring", err)
	}
	dump, err := run.Do(ctx, run.Command{Argv: []string{"apt-config", "dump"}})
	if err != nil {
		return err
	}
	way := parseTransport(string(dump.Stdout))
	way.Env = append(way.Env, proxyEnvironment(way.Env)...)

	say("downloading a bare Debian %s (%s) from %s", b.Debian, codename(b.Debian), source.Archive)
	watched := newHeartbeat("debootstrap", say)
	got, err := run.Do(ctx, run.Command{
		// A mount namespace of its own, so that no mount outlives an interrupted build.
		Argv: inCgroups(groups, "unshare", "--mount", "--", "debootstrap", "--variant=minbase", "--keyring="+source.Keyring,
			"--include="+strings.Join(bareSystem(), ","), codename(b.Debian), dir, source.Archive),
		Env:    append([]string{"DEBIAN_FRONTEND=noninteractive"}, way.Env...),
		Output: watched,
	})
	watched.stop()
	if err != nil && bytes.Contains(append(got.Stdout, got.Stderr...), []byte("Failed getting release file")) {
		return fmt.Errorf("%w answers at %s: %w", ErrNoMirror, source.Archive, err)
	}
	if err != nil {
		return err
	}

	if source.Security == "" {
		say("this host's apt sources name no security archive: the server gets none either")
	} else {
		say("packages and security updates come from %s", source.Security)
	}
	if err := b.configure(dir, source); err != nil {
		return err
	}
	return b.download(ctx, dir, groups, way, say)
}

// configure writes what makes the tree bootable and installable.
func (b baseTree) configure(dir string, source mirror) error {
	keyring := ""
	if !strings.HasPrefix(filepath.Base(source.Keyring), "debian-archive") {
		keyring = "/etc/apt/keyrings/" + filepath.Base(source.Keyring)
		keys, err := os.ReadFile(source.Keyring)
		if err != nil {
			return fmt.Errorf("copy the keys of the mirror: %w", err)
		}
		if err := writeFile(dir+keyring, keys, 0o644); err != nil {
			return err
		}
	}
	files := map[string]string{
		"/etc/apt/sources.list": source.sourcesList(codename(b.Debian), keyring),
		"/etc/hosts":            "127.0.0.1 localhost matomo.localhost\n::1 localhost ip6-localhost ip6-loopback\n",
		"/etc/hostname":         "rocca-base\n",
		"/etc/machine-id":       "", // each server gets its own
	}
	for name, text := range files {
		if err := writeFile(dir+name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	// With no link but lo these would keep the boot "starting" for two minutes.
	for _, unit := range []string{"systemd-networkd.service", "systemd-networkd.socket", "systemd-networkd-wait-online.service"} {
		name := dir + "/etc/systemd/system/" + unit
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("mask unit %s: %w", unit, err)
		}
		if err := os.Symlink("/dev/null", name); err != nil {
			return fmt.Errorf("mask unit %s: %w", unit, err)
		}
	}
	return nil
}

// download brings the tree up to date and fills its apt cache. For that time
// the tree has this host's way to the network; services may not start.
func (b baseTree) download(ctx context.Context, dir string, groups []string, way transport, say func(string, ...any)) error {
	borrowed := map[string]string{
		"/etc/apt/apt.conf.d/99rocca-build": way.Config,
		"/usr/sbin/policy-rc.d":             "#!/bin/sh\nexit 101\n",
	}
	for name, text := range borrowed {
		if err := writeFile(dir+name, []byte(text), 0o755); err != nil {
			return err
		}
	}
	ownHosts, err := os.ReadFile(dir + "/etc/hosts")
	if err != nil {
		return fmt.Errorf("read the tree's /etc/hosts: %w", err)
	}
	for _, name := range []string{"/etc/resolv.conf", "/etc/hosts"} {
		text, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read this host's %s: %w", name, err)
		}
		if err := os.Remove(dir + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("borrow this host's %s: %w", name, err)
		}
		if err := writeFile(dir+name, text, 0o644); err != nil {
			return err
		}
	}

	chroot := func(what string, argv ...string) error {
		watched := newHeartbeat(what, say)
		defer watched.stop()
		_, err := run.Do(ctx, run.Command{
			Argv:   inCgroups(groups, append([]string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc=" + dir + "/proc", "--", "chroot", dir}, argv...)...),
			Env:    append([]string{"DEBIAN_FRONTEND=noninteractive"}, way.Env...),
			Output: watched,
		})
		return err
	}
	say("downloading %d packages and what they need, not installing them", len(b.Packages))
	if err := chroot("apt-get update", "apt-get", "update"); err != nil {
		return err
	}
	if err := chroot("apt-get dist-upgrade", "apt-get", "-y", "dist-upgrade"); err != nil {
		return err
	}
	if err := chroot("apt-get install --download-only", append([]string{"apt-get", "-y", "install", "--download-only"}, b.Packages...)...); err != nil {
		return err
	}

	for name := range borrowed {
		if err := os.Remove(dir + name); err != nil {
			return fmt.Errorf("give back the borrowed %s: %w", name, err)
		}
	}
	if err := os.Remove(dir + "/etc/resolv.conf"); err != nil {
		return fmt.Errorf("give back the borrowed /etc/resolv.conf: %w", err)
	}
	return writeFile(dir+"/etc/hosts", ownHosts, 0o644)
}

// proxyEnvironment hands on the proxies of this program's own environment,
// which apt follows too, where apt's configuration names none.
func proxyEnvironment(configured []string) []string {
	var env []string
	for _, key := range []string{"http_proxy", "https_proxy", "no_proxy"} {
		set := slices.ContainsFunc(configured, func(entry string) bool { return strings.HasPrefix(entry, key+"=") })
		if value := os.Getenv(key); value != "" && !set {
			env = append(env, key+"="+value)
		}
	}
	return env
}

// missingTools are the packages with what this package calls and the host lacks.
func missingTools() []string {
	var missing []string
	for _, tool := range [][2]string{{"debootstrap", "debootstrap"}, {"systemd-nspawn", "systemd-container"}, {"nsenter", "util-linux"}, {"unshare", "util-linux"}} {
		if _, err := run.Look(tool[0]); err != nil {
			missing = append(missing, tool[1])
		}
	}
	if _, err := os.Stat(debianKeyring); err != nil {
		missing = append(missing, "debian-archive-keyring")
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// ensureTools installs what this package calls and the host lacks.
func ensureTools(ctx context.Context, say func(string, ...any)) error {
	missing := missingTools()
	if len(missing) == 0 {
		return nil
	}
	if _, err := run.Look("apt-get"); err != nil {
		return fmt.Errorf("install %s: %w\nhint: install them with this system's own package manager", strings.Join(missing, " "), err)
	}
	say("installing %s on this host with apt-get", strings.Join(missing, ", "))
	watched := newHeartbeat("apt-get", say)
	defer watched.stop()
	for _, argv := range [][]string{
		{"apt-get", "update"},
		append([]string{"apt-get", "install", "-y", "--no-install-recommends"}, missing...),
	} {
		env := append([]string{"DEBIAN_FRONTEND=noninteractive"}, proxyEnvironment(nil)...)
		if _, err := run.Do(ctx, run.Command{Argv: argv, Env: env, Output: watched}); err != nil {
			return fmt.Errorf("install %s: %w", strings.Join(missing, " "), err)
		}
	}
	return nil
}

// needSpace makes sure that a file system has that many bytes left.
func needSpace(dir string, bytes uint64) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make directory %s: %w", dir, err)
	}
	var info unix.Statfs_t
	if err := unix.Statfs(dir, &info); err != nil {
		return fmt.Errorf("look at the free space of %s: %w", dir, err)
	}
	if free := info.Bavail * uint64(info.Bsize); free < bytes {
		return fmt.Errorf("use %s: %d MB are free there, %d MB are needed\nhint: rocca demo list shows servers that may go; %s may be emptied",
			dir, free>>20, bytes>>20, cacheDir)
	}
	return nil
}

// writeFile writes a file of a tree that nobody else can reach yet.
func writeFile(name string, text []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.WriteFile(name, text, mode); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Chmod(name, mode); err != nil { // whatever the umask is
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// heartbeat says every few seconds what a long program printed last.
type heartbeat struct {
	mu   sync.Mutex
	last string
	done chan struct{}
	over sync.WaitGroup
}

func newHeartbeat(program string, say func(string, ...any)) *heartbeat {
	h := &heartbeat{done: make(chan struct{})}
	h.over.Go(func() {
		beat := time.NewTicker(10 * time.Second)
		defer beat.Stop()
		for {
			select {
			case <-h.done:
				return
			case <-beat.C:
				h.mu.Lock()
				last := h.last
				h.mu.Unlock()
				say("still waiting for %s: %s", program, last)
			}
		}
	})
	return h
}

// Write keeps the last line.
func (h *heartbeat) Write(p []byte) (int, error) {
	lines := bytes.Split(bytes.TrimSpace(p), []byte("\n"))
	if last := bytes.TrimSpace(lines[len(lines)-1]); len(last) > 0 {
		h.mu.Lock()
		h.last = string(last[:min(len(last), 100)])
		h.mu.Unlock()
	}
	return len(p), nil
}

func (h *heartbeat) stop() {
	close(h.done)
	h.over.Wait()
}
