// Package demo makes throw-away Debian servers: to try rocca, to rehearse a
// change, and to attack. Each is a directory tree made by debootstrap and
// booted by systemd-nspawn, with a network of its own that has no way out; the
// host reaches its web server on a port of 127.0.0.1.
//
// It is no security boundary: root inside such a server is root of the host.
package demo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rocca/internal/config"
	"rocca/internal/progress"
	"rocca/internal/run"
)

// Mark is a file that only throw-away servers have.
const Mark = "/etc/rocca-demo"

const markText = "This server is thrown away: rocca prove may break it.\n"

// Program is where a server has the rocca that its maker put there. What rocca
// up installs is elsewhere.
const Program = "/usr/local/bin/rocca"

// Options say what server Up makes.
type Options struct {
	Name   string // when empty: "demo", or "demo-2" and so on when that is there
	Debian string // "12" or "13"; "12" when empty

	Bare bool   // only the booted Debian, with packages downloaded and nothing installed
	Weak string // WeakStock, WeakS1 or WeakS2: a deliberately weak server; empty: rocca's

	Release        string // path, URL or version of Matomo; empty: NewestRelease
	NewestRelease  string // version to download when no Release is named; if it cannot be had, the stand-in is used
	AcceptUnsigned bool   // the release need not be signed
	ReleaseKey     string // file with the OpenPGP key of the release, when it is not Matomo's own
	Front          string // as in config.Config; rocca's default when empty
	Config         []byte // further rocca.yaml for the server; its keys win over those of demo

	Packages []string // to download into the base tree; those of Packages when nil
	Binary   string   // rocca's program file: it is copied into the server and forwards its port; the running program when empty

	Progress func(Event)      // is told what is done; may be nil
	Inside   progress.Handler // is told what rocca does inside; may be nil

	maker process // when it is gone, Sweep removes the server
}

// Event is one line of progress.
type Event struct {
	Elapsed time.Duration // since the work began
	Text    string
}

// sayer turns a progress function into one that formats and measures.
func sayer(progress func(Event)) func(string, ...any) {
	start := time.Now()
	return func(format string, args ...any) {
		if progress != nil {
			progress(Event{Elapsed: time.Since(start), Text: fmt.Sprintf(format, args...)})
		}
	}
}

// Up makes a server and boots it; one that was made before and is stopped is
// booted again as it is. A server that could not be finished is left for a
// look: Down removes it.
func Up(ctx context.Context, o Options) (*Server, error) {
	say := sayer(o.Progress)
	if err := needRoot(); err != nil {
		return nil, err
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, nameLock(o.Name), func() { say("waiting for another rocca that works on demo server %s", o.Name) })
	if err != nil {
		return nil, err
	}
	defer unlock()

	s, err := open(stateDir, o.Name)
	if err == nil {
		return s, errors.Join(s.thaw(), s.again(ctx, o, say))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var release hostRelease
	if !o.Bare {
		if release, err = chooseRelease(ctx, o, say); err != nil {
			return nil, err
		}
	}
	base, err := baseTree{Debian: o.Debian, Packages: o.Packages}.ensure(ctx, say)
	if err != nil {
		return nil, err
	}
	s, err = create(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := s.fill(ctx, o, base, release, say); err != nil {
		return s, fmt.Errorf("%w\nhint: rocca demo shell %s to have a look; rocca demo down %s to remove it", err, s.Name, s.Name)
	}
	return s, nil
}

func (o Options) withDefaults() (Options, error) {
	if o.Name == "" {
		o.Name = freeName()
	}
	if o.Debian == "" {
		o.Debian = "12"
	}
	if o.Packages == nil {
		o.Packages = Packages(o.Debian)
	}
	if o.Binary == "" {
		binary, err := os.Executable()
		if err != nil {
			return o, fmt.Errorf("find the running rocca: %w", err)
		}
		o.Binary = binary
	}
	if err := checkName(o.Name); err != nil {
		return o, err
	}
	if codename(o.Debian) == "" {
		return o, fmt.Errorf("make a server with Debian %q: rocca knows 12 and 13", o.Debian)
	}
	if o.Weak != "" && !slices.Contains([]string{WeakStock, WeakS1, WeakS2}, o.Weak) {
		return o, fmt.Errorf("make a weak server %q: there are %s, %s and %s", o.Weak, WeakStock, WeakS1, WeakS2)
	}
	if o.Front != "" && o.Front != config.FrontNginx && o.Front != config.FrontApache {
		return o, fmt.Errorf("make a server with the front %q: there are %s and %s", o.Front, config.FrontNginx, config.FrontApache)
	}
	if info, err := os.Stat(o.Release); err == nil && info.IsDir() && !o.AcceptUnsigned {
		return o, fmt.Errorf("make a server from the directory %s: a directory has no signature\nhint: --accept-unsigned (make: ACCEPT_UNSIGNED=1) if you know where it is from", o.Release)
	}
	if o.Weak != "" && o.Bare {
		return o, errors.New("make a server that is both bare and weak: choose one")
	}
	return o, nil
}

// freeName is a name that no server has.
func freeName() string {
	name := "demo"
	for i := 2; ; i++ {
		if _, err := os.Lstat(filepath.Join(stateDir, name)); err != nil {
			return name // free, or not to be seen: then making it says why
		}
		name = fmt.Sprintf("demo-%d", i)
	}
}

func needRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("work on demo servers: only root can make, boot and enter them\nhint: call it again with sudo")
	}
	return nil
}

// again boots a server that was made before.
func (s *Server) again(ctx context.Context, o Options, say func(string, ...any)) error {
	switch {
	case s.Twin != "":
		return fmt.Errorf("make demo server %s: the name is taken by a twin of %s, which is not booted again\nhint: rocca demo down %s removes it", s.Name, s.Twin, s.Name)
	case s.State == StateRunning:
		return fmt.Errorf("make demo server %s: the name is taken by one that runs at %s\nhint: choose another with --name, or remove it: rocca demo down %s", s.Name, s.URL, s.Name)
	case s.State == StateIncomplete:
		return fmt.Errorf("make demo server %s: the name is taken by one that was not finished\nhint: rocca demo down %s removes it", s.Name, s.Name)
	case s.Debian != o.Debian || s.Weak != o.Weak || s.Bare != o.Bare:
		return fmt.Errorf("boot demo server %s again: it was made with other options\nhint: choose another --name, or remove it: rocca demo down %s", s.Name, s.Name)
	}
	say("booting %s again", s.Name)
	if !canListen(s.Port) {
		if err := s.takePort(ctx); err != nil {
			return err
		}
	}
	if err := s.boot(ctx, say); err != nil {
		return err
	}
	s.State = StateRunning
	return s.startForwarder(ctx, o.Binary)
}

// create reserves the name and the port.
func create(ctx context.Context, o Options) (*Server, error) {
	if err := needSpace(stateDir, 3<<30); err != nil {
		return nil, err
	}
	s := &Server{
		Name: o.Name, Debian: o.Debian, Weak: o.Weak, Bare: o.Bare,
		State: StateIncomplete, Created: time.Now().UTC().Truncate(time.Second), Maker: o.maker,
	}
	s.Root = filepath.Join(s.dir(), "root")
	// Open found no state there: at most a directory without one.
	if err := removeTree(s.dir()); err != nil {
		return nil, err
	}
	if err := os.Mkdir(s.dir(), 0o700); err != nil {
		return nil, fmt.Errorf("make demo server %s: %w", s.Name, err)
	}
	return s, s.takePort(ctx)
}

// takePort chooses a port and writes it down before another server can.
func (s *Server) takePort(ctx context.Context) error {
	unlock, err := lock(ctx, filepath.Join(stateDir, ".lock", "PORTS"), func() {})
	if err != nil {
		return err
	}
	defer unlock()
	servers, err := List()
	if err != nil {
		return err
	}
	port, err := choosePort(servers, canListen)
	if err != nil {
		return err
	}
	s.setPort(port)
	return s.save()
}

// fill copies the base tree, boots it, and sets up what the options want.
func (s *Server) fill(ctx context.Context, o Options, base string, release hostRelease, say func(string, ...any)) error {
	say("copying the base tree to %s", s.Root)
	if err := s.copyTree(ctx, base); err != nil {
		return err
	}
	if err := errors.Join(s.nameIt(), writeFile(s.Root+Mark, []byte(markText), 0o644)); err != nil {
		return err
	}
	if err := s.copyIn(ctx, o.Binary, Program); err != nil {
		return err
	}
	say("booting Debian %s", s.Debian)
	if err := s.boot(ctx, say); err != nil {
		return err
	}
	if err := s.startForwarder(ctx, o.Binary); err != nil {
		return err
	}
	var err error
	switch {
	case o.Weak != "":
		err = s.installWeak(ctx, release, say)
	case !o.Bare:
		err = s.installRocca(ctx, o, release, say)
	}
	if err != nil {
		return err
	}
	s.Complete, s.State = true, StateRunning
	say("demo server %s is up", s.Name)
	return s.save()
}

// copyTree makes the server's tree one like another.
func (s *Server) copyTree(ctx context.Context, from string) error {
	groups, err := freshCgroup(machineName(s.Name))
	if err != nil {
		return err
	}
	_, err = run.Do(ctx, run.Command{Argv: inCgroups(groups, "cp", "--archive", "--reflink=auto", "--no-target-directory", from, s.Root)})
	return err
}

// nameIt gives the server's tree a host name and an id of its own.
func (s *Server) nameIt() error {
	return errors.Join(
		writeFile(s.Root+"/etc/hostname", []byte(machineName(s.Name)+"\n"), 0o644),
		writeFile(s.Root+"/etc/machine-id", []byte(machineID()+"\n"), 0o644))
}

// machineID makes an id of 32 hexadecimal digits, see machine-id(5).
func machineID() string {
	var id [16]byte
	rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

// copyIn copies a file or directory of the host into the server, owned by root.
func (s *Server) copyIn(ctx context.Context, from, to string) error {
	if err := os.MkdirAll(filepath.Dir(s.Root+to), 0o755); err != nil {
		return fmt.Errorf("copy %s into demo server %s: %w", from, s.Name, err)
	}
	_, err := run.Do(ctx, run.Command{Argv: []string{
		"cp", "--recursive", "--no-target-directory", "--preserve=mode,timestamps", "--reflink=auto", "--", from, s.Root + to,
	}})
	return err
}

// startForwarder starts the process that carries connections to the server.
func (s *Server) startForwarder(ctx context.Context, binary string) error {
	started, err := run.Start(run.Command{Argv: []string{binary, "demo", "forward", s.Name}}, s.forwardLog())
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		started.Wait()
		close(ended)
	}()
	if s.Forwarder, err = identify(started.Pid); err != nil {
		return fmt.Errorf("forward port %d to demo server %s: %w", s.Port, s.Name, err)
	}
	if err := s.save(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("the forwarder does not listen"))
	defer cancel()
	for {
		if conn, err := (&net.Dialer{}).DialContext(ctx, "tcp4", fmt.Sprintf("127.0.0.1:%d", s.Port)); err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("forward port %d to demo server %s: the forwarder ended\n%s", s.Port, s.Name, tail(s.forwardLog()))
		case <-ctx.Done():
			return fmt.Errorf("forward port %d to demo server %s: %w\n%s", s.Port, s.Name, context.Cause(ctx), tail(s.forwardLog()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
