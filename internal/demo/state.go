package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Where demo servers and base trees are kept. Both directories are for root
// alone: the trees hold deliberately weak files and set-uid programs.
const (
	stateDir = "/var/lib/rocca-demo"
	cacheDir = "/var/cache/rocca/base"
)

// State is what a server is doing now.
type State string

// The states of a server.
const (
	StateIncomplete State = "incomplete" // rocca demo up is at work on it, or was stopped half-way
	StateRunning    State = "running"
	StateStopped    State = "stopped" // complete, but not booted: rocca demo up boots it again
)

// Server is one throw-away server, as kept in its server.json.
type Server struct {
	Name    string    `json:"name"`
	State   State     `json:"state"` // looked up when read: a server whose leader has ended is not running
	URL     string    `json:"url"`   // where the host reaches it; nothing answers there on a bare one
	Root    string    `json:"root"`  // its root directory on the host
	Port    int       `json:"port"`  // of URL, on the host's 127.0.0.1
	Debian  string    `json:"debian"`
	Weak    string    `json:"weak,omitempty"`
	Bare    bool      `json:"bare,omitempty"`
	Created time.Time `json:"created"`

	// Twin is what it is a copy of, without some protection: a server's name, or
	// ThisMachine. Empty for one that is no copy.
	Twin  string  `json:"twin,omitempty"`
	Still string  `json:"still,omitempty"` // directory of the still tree that a twin stands on
	Maker process `json:"maker,omitzero"`  // the process that it is for; none when it is its owner's

	Login Login `json:"-"` // first login, when the server was just set up: kept nowhere

	Complete  bool    `json:"complete"`  // everything in it is set up
	Leader    process `json:"leader"`    // its first process, pid 1 inside
	Manager   process `json:"manager"`   // systemd-nspawn, the parent of the leader
	Forwarder process `json:"forwarder"` // listens on Port
}

// LeaderPID is the pid, on the host, of the server's first process; 0 when it
// does not run.
func (s *Server) LeaderPID() int {
	if s.State == StateStopped || !s.Leader.alive() {
		return 0
	}
	return s.Leader.PID
}

func (s *Server) dir() string        { return filepath.Join(stateDir, s.Name) }
func (s *Server) bootLog() string    { return filepath.Join(s.dir(), "nspawn.log") }
func (s *Server) forwardLog() string { return filepath.Join(s.dir(), "forward.log") }

// guestPort is where the web server inside listens.
func (s *Server) guestPort() int {
	if s.Weak != "" {
		return 80
	}
	return 443
}

func (s *Server) setPort(port int) {
	s.Port = port
	scheme := "https"
	if s.guestPort() == 80 {
		scheme = "http"
	}
	s.URL = scheme + "://127.0.0.1:" + strconv.Itoa(port) + "/"
}

// save writes server.json whole or not at all.
func (s *Server) save() error { return s.saveIn(s.dir()) }

func (s *Server) saveIn(dir string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("save the state of demo server %s: %w", s.Name, err)
	}
	name := filepath.Join(dir, "server.json")
	if err := os.WriteFile(name+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("save the state of demo server %s: %w", s.Name, err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return fmt.Errorf("save the state of demo server %s: %w", s.Name, err)
	}
	return nil
}

// Open reads what is known of a server. One that a killed Copy left standing
// still goes on. Who has the lock of the name reads with open and thaws itself:
// for that lock Open would wait.
func Open(name string) (*Server, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	s, err := open(stateDir, name)
	if err != nil {
		return nil, err
	}
	return s, s.thawAbandoned()
}

func open(dir, name string) (*Server, error) {
	text, err := os.ReadFile(filepath.Join(dir, name, "server.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open demo server %s: %w\nhint: rocca demo list shows the servers there are", name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open demo server %s: %w", name, err)
	}
	s := &Server{}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("read the state of demo server %s: %w\nhint: rocca demo down %s removes it", name, err, name)
	}
	if s.Name != name {
		return nil, fmt.Errorf("read the state of demo server %s: it is that of %q\nhint: rocca demo down %s removes it", name, s.Name, name)
	}
	s.State = s.currentState()
	return s, nil
}

func (s *Server) currentState() State {
	switch {
	case !s.Complete:
		return StateIncomplete
	case s.Leader.alive():
		return StateRunning
	}
	return StateStopped
}

// List reads all servers, ordered by name. One whose state cannot be read is
// listed as incomplete. Those that a killed Copy left standing still go on.
func List() ([]*Server, error) {
	servers, err := list(stateDir)
	for _, s := range servers {
		err = errors.Join(err, s.thawAbandoned())
	}
	return servers, err
}

func list(dir string) ([]*Server, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the demo servers: %w", err)
	}
	var servers []*Server
	for _, entry := range entries {
		if !entry.IsDir() || checkName(entry.Name()) != nil {
			continue
		}
		s, err := open(dir, entry.Name())
		if err != nil {
			s = &Server{Name: entry.Name(), State: StateIncomplete, Root: filepath.Join(dir, entry.Name(), "root")}
		}
		servers = append(servers, s)
	}
	return servers, nil
}

var nameRule = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

func checkName(name string) error {
	if !nameRule.MatchString(name) {
		return fmt.Errorf("use %q as the name of a demo server: it must start with a letter and have at most 31 of a-z, 0-9 and -", name)
	}
	return nil
}

// machineName is the name of a server for systemd-nspawn, its host name and
// the name of its control group.
func machineName(name string) string { return "rocca-" + name }

// firstPort is where the search for a free port on the host starts.
const firstPort = 8443

// choosePort returns the first port from firstPort that no server has and that
// can be listened on.
func choosePort(servers []*Server, free func(port int) bool) (int, error) {
	for port := firstPort; port < firstPort+1000; port++ {
		taken := slices.ContainsFunc(servers, func(s *Server) bool { return s.Port == port })
		if !taken && free(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("choose a port: none from %d to %d is free on 127.0.0.1", firstPort, firstPort+999)
}

func canListen(port int) bool {
	listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

// lock takes an exclusive lock that ends with this process at the latest. When
// another process holds it, waiting is called once, and lock waits. Whoever
// holds a lock may remove its file.
func lock(ctx context.Context, name string, waiting func()) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, fmt.Errorf("take lock %s: %w", name, err)
	}
	for said := false; ; {
		file, err := tryLock(name)
		if err != nil {
			return nil, fmt.Errorf("take lock %s: %w", name, err)
		}
		if file != nil {
			return func() { file.Close() }, nil
		}
		if !said {
			waiting()
			said = true
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for lock %s: %w", name, context.Cause(ctx))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// tryLock returns nil when another process holds the lock.
func tryLock(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		return nil, file.Close()
	}
	locked, statErr := file.Stat()
	if err := errors.Join(err, statErr); err != nil {
		file.Close()
		return nil, err
	}
	// The last holder may have removed the file since it was opened here.
	if now, err := os.Lstat(name); err != nil || !os.SameFile(now, locked) {
		return nil, file.Close()
	}
	return file, nil
}

func nameLock(name string) string { return filepath.Join(stateDir, ".lock", name) }
