// Package triage takes what is volatile on a Debian server before it is lost:
// processes and what they have open, sockets, sessions, what starts by itself,
// kernel modules, what was changed. It only reads, within limits of size and
// time, and tells what it could not take.
//
// It asks the programs of a server that may be in other hands (systemctl, nft,
// journalctl): what /proc says is read from the kernel itself, which only a
// changed kernel can forge.
package triage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"rocca/internal/collect/host"
	"rocca/internal/facts"
	"rocca/internal/rooted"
	"rocca/internal/run"
	"rocca/internal/secret"
)

// Options say what is taken.
type Options struct {
	// Observe looks at the server as an audit does, Matomo and its code
	// included. Without it, or when it fails, only the machine is looked at.
	Observe func(ctx context.Context) (facts.Server, error)

	// Written are the files that rocca wrote on this server, with their SHA-256.
	Written map[string]string

	PIDs   []int // processes that are suspects in any case
	Memory bool  // take the memory of suspects, too
	Limit  int64 // bytes of all files; 0: 64 MiB

	// Put takes a file: its name is relative, with slashes.
	Put func(name string, fill func(io.Writer) error) error
	// Hide is told of secrets as they are found, before anything that may hold
	// them is put.
	Hide func(secrets ...secret.Secret)

	Tell func(what string) // hears what is looked at; may be nil
}

// defaultLimit bounds all files together, in bytes.
const defaultLimit = 64 << 20

// Document is what was found, as the file triage.json has it.
type Document struct {
	Version int       `json:"version"` // 1
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended"`
	Host    string    `json:"host"`
	Boot    string    `json:"boot_id"`
	Booted  time.Time `json:"booted,omitzero"`
	Kernel  string    `json:"kernel"`            // /proc/version
	Tainted string    `json:"tainted"`           // /proc/sys/kernel/tainted; 0: no module from outside
	Modules []Module  `json:"modules"`           //
	Uptime  string    `json:"uptime_seconds"`    //
	Loaded  string    `json:"preload,omitempty"` // /etc/ld.so.preload: what every program loads

	Processes  []Process    `json:"processes"`
	PHP        []int        `json:"php"`         // PIDs of PHP-FPM masters and children
	Suspects   []Suspect    `json:"suspects"`    //
	Sockets    []Socket     `json:"sockets"`     // of all network namespaces
	Executable []Executable `json:"executables"` // of what runs
	Logins     []Login      `json:"logins"`
	Keys       []Key        `json:"keys"`
	Starters   []Starter    `json:"starters"` // cron, units, timers, profiles: what starts by itself
	Changed    []Changed    `json:"changed"`  // files of rocca that are not as it wrote them
	NewPHP     []NewPHP     `json:"new_php"`  // code of Matomo that the release does not have, has otherwise, or that is newer than it

	Facts facts.Server `json:"facts"` // users, sudo, units, cron, listening ports, firewall, code, database accounts: as rocca audit sees them

	Missing map[string]string `json:"missing,omitempty"` // what was not taken, and why
}

// collector is one triage.
type collector struct {
	Options
	root     rooted.Dir
	doc      Document
	left     int64
	users    map[string]string
	secrets  []secret.Secret
	packages map[string]string
}

// Collect takes everything. What fails is in Missing; the error tells that
// nothing can be kept.
func Collect(ctx context.Context, o Options) (Document, error) {
	c := &collector{Options: o, root: "/", left: o.Limit}
	if c.left == 0 {
		c.left = defaultLimit
	}
	if c.Tell == nil {
		c.Tell = func(string) {}
	}
	c.doc = Document{Version: 1, Began: time.Now().UTC(), Missing: map[string]string{},
		Modules: []Module{}, Processes: []Process{}, PHP: []int{}, Suspects: []Suspect{}, Sockets: []Socket{}, Executable: []Executable{},
		Logins: []Login{}, Keys: []Key{}, Starters: []Starter{}, Changed: []Changed{}, NewPHP: []NewPHP{}}
	// What ends soonest is taken first.
	for _, part := range []struct {
		name string
		take func(context.Context) error
	}{
		{"machine", c.machine},
		{"processes", c.processes},
		{"sockets", c.sockets},
		{"logins", c.logins},
		{"facts", c.facts},
		{"executables", c.executables},
		{"keys", c.keys},
		{"starters", c.starters},
		{"changed", c.changed},
		{"journal", c.journal},
		{"suspects", c.suspects},
	} {
		if ctx.Err() != nil {
			c.miss(part.name, context.Cause(ctx))
			continue
		}
		c.Tell(part.name)
		c.miss(part.name, part.take(ctx))
	}
	c.doc.Ended = time.Now().UTC()
	return c.doc, c.putDocument()
}

func (c *collector) miss(what string, err error) {
	if err != nil {
		c.doc.Missing[what] = c.redact(err.Error())
	}
}

func (c *collector) putDocument() error {
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(c.doc); err != nil {
		return fmt.Errorf("write triage: %w", err)
	}
	return c.Put("triage.json", func(w io.Writer) error {
		_, err := w.Write(content.Bytes())
		return err
	})
}

// put takes a file as long as there is room for it.
func (c *collector) put(name string, size int64, fill func(io.Writer) error) error {
	if size > c.left {
		return fmt.Errorf("take %s: it has %d bytes, and %d are left of the limit", name, size, c.left)
	}
	limited := &limitedWriter{left: c.left}
	err := c.Put(name, func(w io.Writer) error {
		limited.w = w
		return fill(limited)
	})
	c.left = limited.left
	return err
}

// limitedWriter fails when more is written than is left.
type limitedWriter struct {
	w    io.Writer
	left int64
}

var errLimit = errors.New("the limit of all files is reached")

func (l *limitedWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > l.left {
		return 0, errLimit
	}
	n, err := l.w.Write(p)
	l.left -= int64(n)
	return n, err
}

// small reads a small file of the kernel or of Debian; "" when it is not there.
func (c *collector) small(name string) string {
	content, err := os.ReadFile(string(c.root) + name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

// Module is a module of the kernel.
type Module struct {
	Name  string `json:"name"`
	Size  string `json:"size"`
	State string `json:"state"`
	Taint string `json:"taint,omitempty"` // "(OE)": out of the tree, not signed
}

func (c *collector) machine(context.Context) error {
	d := &c.doc
	d.Host, d.Boot = c.small("/proc/sys/kernel/hostname"), c.small("/proc/sys/kernel/random/boot_id")
	d.Kernel, d.Tainted = c.small("/proc/version"), c.small("/proc/sys/kernel/tainted")
	d.Uptime, _, _ = strings.Cut(c.small("/proc/uptime"), " ")
	d.Loaded = c.small("/etc/ld.so.preload")
	d.Modules = parseModules(c.small("/proc/modules"))
	d.Booted = bootTime(c.small("/proc/stat"))
	c.users = userNames(c.small("/etc/passwd"))
	return nil
}

func parseModules(text string) []Module {
	var all []Module
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		m := Module{Name: fields[0], Size: fields[1], State: fields[4]}
		if last := fields[len(fields)-1]; strings.HasPrefix(last, "(") {
			m.Taint = last
		}
		all = append(all, m)
	}
	return all
}

func userNames(passwd string) map[string]string {
	names := map[string]string{}
	for line := range strings.Lines(passwd) {
		fields := strings.Split(line, ":")
		if len(fields) < 4 {
			continue
		}
		if _, taken := names[fields[2]]; !taken {
			names[fields[2]] = fields[0]
		}
	}
	return names
}

// facts looks as an audit does; when that fails, at the machine alone.
func (c *collector) facts(ctx context.Context) error {
	var err error
	if c.Observe != nil {
		if c.doc.Facts, err = c.Observe(ctx); err == nil {
			c.learn()
			return nil
		}
	}
	c.doc.Facts = host.Survey(ctx, host.Scope{})
	return err
}

// learn reads the secrets of Matomo, so that they can be hidden, and compares
// its code.
func (c *collector) learn() {
	for _, context := range c.doc.Facts.Matomo.Contexts {
		text, err := c.root.Read(context.Config, 1<<20)
		if err != nil {
			c.miss("secrets of "+context.Config, err)
			continue
		}
		c.secrets = append(c.secrets, Secrets(text)...)
	}
	if c.Hide != nil {
		c.Hide(c.secrets...)
	}
	c.newCode()
}

// journalLimit bounds how much of the journal is taken, in lines.
const journalLimit = 5000

func (c *collector) journal(ctx context.Context) error {
	for _, part := range []struct{ name, boot string }{{"journal.txt", "--boot=all"}, {"kernel.txt", "--dmesg"}} {
		var lines bytes.Buffer
		got, err := run.Do(ctx, run.Command{Argv: []string{"journalctl", "--no-pager", "--quiet", part.boot, "--lines", fmt.Sprint(journalLimit), "--output", "short-iso-precise"}, Output: &lines})
		if err != nil {
			return errors.New("read the journal: " + c.redact(err.Error()))
		}
		text := lines.Bytes()
		if len(got.Stderr) > 0 {
			text = got.Stdout
		}
		if len(text) == 0 {
			continue // a container has no messages of the kernel
		}
		text = []byte(c.redact(string(text)))
		if err := c.put(part.name, int64(len(text)), func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// redact hides what is or looks like a secret.
func (c *collector) redact(text string) string {
	for _, s := range c.secrets {
		if len(s.Reveal()) >= shortestSecret {
			text = strings.ReplaceAll(text, s.Reveal(), redacted)
		}
	}
	return Redact(text)
}
