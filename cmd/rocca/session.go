package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"rocca/internal/blueprint"
	"rocca/internal/change"
	"rocca/internal/collect"
	"rocca/internal/config"
	"rocca/internal/facts"
	"rocca/internal/mariadb"
	"rocca/internal/matomo/release"
	"rocca/internal/progress"
)

// defaultRelease is the newest release of Matomo that rocca knows of.
const defaultRelease = "5.14.1"

// serverFlags are the flags of the verbs that look at or change this server.
type serverFlags struct {
	config         string
	release        string
	releaseKey     string
	acceptUnsigned bool
	front          string
	json           bool
}

func (f *serverFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", config.DefaultPath, "configuration file")
	flags.StringVar(&f.release, "release", "", "Matomo: path of an archive or directory, URL, or version")
	flags.StringVar(&f.releaseKey, "release-key", "", "file with the OpenPGP key of the release, if it is not Matomo's own")
	flags.BoolVar(&f.acceptUnsigned, "accept-unsigned", false, "take a release without a signature (remembered as such)")
	flags.StringVar(&f.front, "front", "", "web server: nginx or apache (default: as configured)")
	flags.BoolVar(&f.json, "json", false, "one JSON object per line")
	_ = cmd.RegisterFlagCompletionFunc("front", cobra.FixedCompletions([]string{config.FrontNginx, config.FrontApache}, cobra.ShellCompDirectiveNoFileComp))
}

// session is a server as one verb sees it.
type session struct {
	flags    serverFlags
	config   config.Config
	secrets  blueprint.Secrets
	accounts blueprint.Secrets // those on a remote database server, as far as known: slot and passwords
	server   collect.Server
	journal  *change.Journal
	lock     *os.File
	releases map[string]*release.Release // opened so far, by what names them
	tell     progress.Handler            // hears of downloads
}

// openSession reads the configuration and takes the lock of this machine.
func openSession(cmd *cobra.Command, flags serverFlags) (*session, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("look at this server: only root sees all of it\nhint: sudo " + cmd.CommandPath())
	}
	if err := supported(); err != nil {
		return nil, err
	}
	s := &session{flags: flags, releases: map[string]*release.Release{}}
	var err error
	if s.config, err = loadConfig(cmd, flags.config); err != nil {
		return nil, err
	}
	if flags.front != "" {
		s.config.Front = flags.front
	}
	if flags.release != "" {
		s.config.Release = absoluteRelease(flags.release)
	}
	if err := s.config.Validate(); err != nil {
		return nil, err
	}
	if s.lock, err = takeLock(); err != nil {
		return nil, err
	}
	if err := s.openDatabase(); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	if s.journal, err = change.Open(change.DefaultDir); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	return s, nil
}

// openDatabase prepares to ask the database server.
func (s *session) openDatabase() error {
	var err error
	if s.secrets, err = givenSecrets(s.config.Secrets); err != nil {
		return err
	}
	if s.accounts, err = knownAccounts(s.config.Database, s.secrets); err != nil {
		return err
	}
	s.server.Passwords = s.accounts.Slot.Logins(s.accounts.Accounts)
	s.server.Given = givenAccounts(s.config.Database)
	access, err := databaseServer(s.config.Database, s.accounts)
	if err != nil {
		return err
	}
	s.server.Database, err = mariadb.Open(access)
	return err
}

// Close frees what the session holds.
func (s *session) Close() error {
	var problems []error
	for _, r := range s.releases {
		problems = append(problems, r.Close())
	}
	// A database server that was stopped meanwhile makes its connection end in
	// an error, which says nothing.
	_ = s.server.Database.Close()
	return errors.Join(append(problems, s.lock.Close())...)
}

// supported refuses what rocca was never tried on.
func supported() error {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return fmt.Errorf("read which distribution this is: %w", err)
	}
	if !bytes.Contains(text, []byte("\nID=debian\n")) && !bytes.HasPrefix(text, []byte("ID=debian\n")) {
		return errors.New("set up this server: it is not Debian\nhint: rocca runs on Debian 12 and 13; try one with rocca demo up")
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return errors.New("set up this server: it was not booted with systemd\nhint: rocca demo up boots a Debian that is")
	}
	return nil
}

// lockPath is in /run itself: in /run/lock anybody could hold it.
const lockPath = "/run/rocca.lock"

// takeLock makes sure that one rocca at a time works on this machine. The lock
// goes with the process.
func takeLock() (*os.File, error) {
	f, err := os.OpenFile(lockPath, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("take the lock %s: %w", lockPath, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 100))
		f.Close()
		return nil, &exitError{exitLocked, fmt.Errorf("take the lock %s: another rocca is at work (pid %s)\nhint: wait for it to end", lockPath, strings.TrimSpace(string(holder)))}
	}
	if err := f.Truncate(0); err != nil {
		return nil, fmt.Errorf("take the lock %s: %w", lockPath, err)
	}
	if _, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err != nil {
		return nil, fmt.Errorf("take the lock %s: %w", lockPath, err)
	}
	return f, nil
}

// input gathers what the blueprint is derived from.
func (s *session) input(ctx context.Context) (blueprint.Input, error) {
	in := blueprint.Input{Config: s.config, Secrets: s.secrets}
	seen, err := s.server.Observe(ctx, facts.Query{Schemas: true, Listeners: true, Packages: []string{"openssh-server"}})
	if err != nil {
		return in, err
	}
	in.SSH.Installed = seen.Packages["openssh-server"].Installed
	for _, l := range seen.Listeners {
		if l.Program == "sshd" && !slices.Contains(in.SSH.Ports, l.Port) {
			in.SSH.Ports = append(in.SSH.Ports, l.Port)
		}
	}
	if in.Program, err = thisProgram(); err != nil {
		return in, err
	}
	if in.Debian, in.PHP, err = platform(s.config, seen); err != nil {
		return in, err
	}
	for schema := range seen.Database.Schemas {
		in.ForeignSchemas = in.ForeignSchemas || schema != s.config.Database.Name
	}
	if s.config.Database.Remote() {
		if err := s.remoteDatabase(ctx, &in, seen.Database); err != nil {
			return in, err
		}
	}
	runs, err := s.journal.Runs()
	if err != nil {
		return in, err
	}
	in.Installed = installed(runs)
	in.Version, in.Release, err = s.chooseRelease(ctx)
	return in, err
}

// platform is the Debian and the branch of PHP that a server is made of.
func platform(c config.Config, seen facts.Server) (debian int, php string, err error) {
	debian, err = strconv.Atoi(seen.OS.Version)
	if err != nil || (debian != 12 && debian != 13) {
		return 0, "", fmt.Errorf("set up this server: it runs Debian %s\nhint: rocca runs on Debian 12 and 13", seen.OS.Version)
	}
	return debian, cmp.Or(c.PHP, seen.PHP.Branch), nil
}

// thisProgram is rocca as it runs. The kernel's own link leads to it even when
// its file was replaced meanwhile.
func thisProgram() (blueprint.Program, error) {
	const self = "/proc/self/exe"
	sum, err := hashOf(self)
	if err != nil {
		return blueprint.Program{}, fmt.Errorf("read this program: %w", err)
	}
	return blueprint.Program{Path: self, SHA256: sum}, nil
}

// hashOf is the SHA-256 of a file in hex.
func hashOf(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return hex.EncodeToString(sum.Sum(nil)), err
}

// installed tells whether any of the runs still stands on this server. What
// stays of one that was undone is its owner's data, or what others use.
func installed(runs []change.RunInfo) bool {
	return slices.ContainsFunc(runs, func(r change.RunInfo) bool { return r.Standing() && r.Result != change.PartUndone })
}

// preflight tells what speaks against changing this server.
func (s *session) preflight(ctx context.Context, in blueprint.Input) error {
	seen, err := s.server.Observe(ctx, blueprint.PreflightLooks(in))
	if err != nil {
		return err
	}
	return errors.Join(blueprint.Preflight(in, seen)...)
}

// chooseRelease says which version of Matomo belongs on this server, and how
// its files are had. What is installed already is not opened.
func (s *session) chooseRelease(ctx context.Context) (string, func(context.Context) (*release.Release, error), error) {
	installed, err := installedRecord(s.config)
	if err != nil {
		return "", nil, err
	}
	if installed != nil && (s.config.Release == "" || s.config.Release == installed.Version || s.sameAsInstalled(*installed)) {
		open := func(ctx context.Context) (*release.Release, error) {
			spec := s.config.Release
			if spec == "" {
				spec = installed.Source
			}
			return s.open(ctx, spec, s.flags.acceptUnsigned || installed.Signer == "")
		}
		return installed.Version, open, nil
	}
	spec := s.config.Release
	if spec == "" {
		spec = defaultRelease
	}
	open := func(ctx context.Context) (*release.Release, error) { return s.open(ctx, spec, s.flags.acceptUnsigned) }
	source, err := release.Parse(spec)
	if err != nil {
		return "", nil, err
	}
	version := source.Version
	if version == "" {
		opened, err := open(ctx)
		if err != nil {
			return "", nil, err
		}
		version = opened.Version
	}
	if installed != nil && version != installed.Version {
		return "", nil, fmt.Errorf("set up Matomo %s: Matomo %s is installed, and rocca up does not change versions\nhint: leave out --release to look after the version that is there", version, installed.Version)
	}
	if installed == nil {
		err = s.keepsVersion(version)
	}
	return version, open, err
}

// keepsVersion refuses another version than the one that is served, when there
// is no record to tell which is installed.
func (s *session) keepsVersion(version string) error {
	served, err := servedVersion(s.config)
	if err != nil || served == "" || served == version {
		return err
	}
	return fmt.Errorf("set up Matomo %s: Matomo %s is installed, and rocca up does not change versions\nhint: what rocca recorded of it is gone; name the same version with --release", version, served)
}

// servedVersion is the version of the Matomo that the front serves as its code
// says; "" when there is none.
func servedVersion(c config.Config) (string, error) {
	name := filepath.Join(blueprint.NewLayout(c, "").Link, "core/Version.php")
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look for an installed release: %w", err)
	}
	version, err := release.ParseVersion(text)
	if err != nil {
		return "", fmt.Errorf("look for an installed release: %s: %w", name, err)
	}
	return version, nil
}

// sameAsInstalled tells whether the release that is asked for is, by its
// content, the one that is installed.
func (s *session) sameAsInstalled(installed blueprint.Record) bool {
	if s.config.Release != installed.Source {
		return false
	}
	info, err := os.Stat(s.config.Release)
	if err != nil {
		return false
	}
	if info.IsDir() {
		text, err := os.ReadFile(filepath.Join(s.config.Release, "core/Version.php"))
		return err == nil && bytes.Contains(text, []byte("VERSION = '"+installed.Version+"'"))
	}
	sum, err := hashOf(s.config.Release)
	return err == nil && sum == installed.Digest
}

// open gets and verifies a release, once.
func (s *session) open(ctx context.Context, spec string, acceptUnsigned bool) (*release.Release, error) {
	if opened, done := s.releases[spec]; done {
		return opened, nil
	}
	source, err := release.Parse(spec)
	if err != nil {
		return nil, err
	}
	options := release.Options{AcceptUnsigned: acceptUnsigned}
	if source.URL != "" {
		const step = "release"
		options.Progress = func(done, total int64) {
			s.tell.Tell(progress.Event{Kind: progress.Wait, Step: step, Text: downloaded(source.URL, done, total)})
		}
		defer func() { s.tell.Tell(progress.Event{Kind: progress.Skip, Step: step}) }()
	}
	if s.flags.releaseKey != "" {
		if options.Keys, err = os.ReadFile(s.flags.releaseKey); err != nil {
			return nil, fmt.Errorf("read the key of the release: %w", err)
		}
	}
	opened, err := release.Open(ctx, source, options)
	if err != nil {
		return nil, err
	}
	s.releases[spec] = opened
	s.warn(opened)
	return opened, nil
}

// downloaded tells how far a download is; the total may be unknown.
func downloaded(url string, done, total int64) string {
	if total <= 0 {
		return fmt.Sprintf("getting %s: %d MiB", url, done>>20)
	}
	return fmt.Sprintf("getting %s: %d of %d MiB", url, done>>20, total>>20)
}

// warn tells what the owner accepted with an unsigned release.
func (s *session) warn(r *release.Release) {
	if r.Signer == "" {
		s.tell.Tell(progress.Event{Kind: progress.Note, Text: "the release " + r.Source + " is not signed: that it is Matomo's is taken from you"})
	}
	kinds := map[release.DifferenceKind]int{}
	for _, d := range r.Differences {
		kinds[d.Kind]++
	}
	if len(r.Differences) > 0 {
		s.tell.Tell(progress.Event{Kind: progress.Note, Text: fmt.Sprintf("it is not as its own manifest says: %d files changed, %d missing, %d extra (left out), such as %s",
			kinds[release.Changed], kinds[release.Missing], kinds[release.Extra], r.Differences[0].Path)})
	}
}

func absoluteRelease(spec string) string {
	if _, err := os.Lstat(spec); err != nil {
		return spec
	}
	absolute, err := filepath.Abs(spec)
	if err != nil {
		return spec
	}
	return absolute
}

// installedRecord reads what rocca remembers of the release on this server;
// nil when there is none.
func installedRecord(c config.Config) (*blueprint.Record, error) {
	layouts, err := filepath.Glob(blueprint.NewLayout(c, "*").Record)
	if err != nil {
		return nil, fmt.Errorf("look for an installed release: %w", err)
	}
	var newest *blueprint.Record
	for _, path := range layouts {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look for an installed release: %w", err)
		}
		record, err := blueprint.ParseRecord(text)
		if err != nil {
			return nil, fmt.Errorf("%w\nhint: remove %s and run rocca up again", err, path)
		}
		if newest == nil || record.Installed.After(newest.Installed) {
			newest = &record
		}
	}
	return newest, nil
}
