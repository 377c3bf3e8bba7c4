// Package run starts processes, and is the only package that does: no shell,
// argv only, an environment built from nothing, and output that is capped.
package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// outputLimit caps what is kept of each stream of a process, in bytes. The
// first half and the last half of a longer output are kept.
const outputLimit = 1 << 20

// Command is one process to run. There is no field for a shell line: what
// looks like one is an argument.
type Command struct {
	Argv  []string  // program (looked up in Path when it has no slash) and arguments; never a secret
	Env   []string  // added to the clean environment, KEY=value; never a secret
	Dir   string    // working directory, "/" when empty
	Stdin io.Reader // the way to hand over a secret; nothing when nil

	// Output, when set, also gets both streams as they are written, never at once.
	Output io.Writer

	// Inherit connects the process to this program's own terminal.
	Inherit bool
}

// Path is where programs are looked for, whatever the caller's environment says.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Result is what a process left behind.
type Result struct {
	Stdout  []byte
	Stderr  []byte
	Elapsed time.Duration
}

// Error is a process that could not be started or did not exit with 0.
type Error struct {
	Argv     []string
	ExitCode int    // -1 when it was not started or was killed by a signal
	Output   string // what it printed on both streams, capped
	Cause    error
}

// Error tells what ran and how it ended, followed by the last lines it printed.
func (e *Error) Error() string {
	text := fmt.Sprintf("run %s: %v", e.Paste(), e.Cause)
	if tail := lastLines(e.Output, 12); tail != "" {
		text += "\n" + tail
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Paste returns the command as a line that can be pasted into a shell.
func (e *Error) Paste() string { return Quote(e.Argv) }

// Quote joins an argv into a line that a POSIX shell splits back into it.
func Quote(argv []string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@,+%") == "" {
			words[i] = word
			continue
		}
		words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return strings.Join(words, " ")
}

// Look finds a program in Path and returns its absolute name.
func Look(program string) (string, error) {
	if strings.Contains(program, "/") {
		return program, nil
	}
	for _, dir := range strings.Split(Path, ":") {
		name := dir + "/" + program
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return name, nil
		}
	}
	return "", fmt.Errorf("look up program %s: %w in %s", program, exec.ErrNotFound, Path)
}

// LookUser finds a program where the caller's own shell finds it. It is for what
// people run on their own computer; on a server programs are looked up in Path.
func LookUser(program string) (string, error) {
	name, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("look up program %s: %w", program, err)
	}
	return filepath.Abs(name)
}

// Do runs a command to its end. The error is an *Error.
func Do(ctx context.Context, c Command) (Result, error) {
	var stdout, stderr, both capped
	cmd, err := prepare(ctx, c)
	if err != nil {
		return Result{}, &Error{Argv: c.Argv, ExitCode: -1, Cause: err}
	}
	if c.Inherit {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	} else {
		var output io.Writer
		if c.Output != nil {
			output = &serial{w: c.Output}
		}
		cmd.Stdout, cmd.Stderr = tee(&stdout, &both, output), tee(&stderr, &both, output)
	}
	start := time.Now()
	err = cmd.Run()
	result := Result{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Elapsed: time.Since(start)}
	if err == nil {
		return result, nil
	}
	code := -1
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return result, &Error{Argv: c.Argv, ExitCode: code, Output: string(both.Bytes()), Cause: err}
}

// Start runs a command in a session of its own and returns at once; it goes on
// when this program ends. Its output is appended to the file named log (made
// with mode 0600), its input is empty. Wait on the process to reap it.
func Start(c Command, log string) (*os.Process, error) {
	cmd, err := prepare(context.Background(), c)
	if err != nil {
		return nil, &Error{Argv: c.Argv, ExitCode: -1, Cause: err}
	}
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", c.Argv[0], err)
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, &Error{Argv: c.Argv, ExitCode: -1, Cause: err}
	}
	return cmd.Process, nil
}

func prepare(ctx context.Context, c Command) (*exec.Cmd, error) {
	program, err := Look(c.Argv[0])
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, c.Argv[1:]...)
	cmd.Env = append([]string{"PATH=" + Path, "LC_ALL=C.UTF-8", "HOME=/root", "TERM=" + terminal(c.Inherit)}, c.Env...)
	cmd.Dir = c.Dir
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.Stdin = c.Stdin
	if !c.Inherit {
		// A group of its own: a ctrl-c on the terminal is for this program, which
		// decides what becomes of the processes it started.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
	// A process asked to stop gets time to clean up before it is killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd, nil
}

func terminal(inherit bool) string {
	if inherit && os.Getenv("TERM") != "" {
		return os.Getenv("TERM")
	}
	return "dumb"
}

func tee(writers ...io.Writer) io.Writer {
	kept := writers[:0]
	for _, w := range writers {
		if w != nil {
			kept = append(kept, w)
		}
	}
	return io.MultiWriter(kept...)
}

// serial lets two streams write to one writer in turn.
type serial struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *serial) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// capped keeps the first and the last half of outputLimit bytes. Both streams
// of a process may write to one at once.
type capped struct {
	mu         sync.Mutex
	head, tail []byte
	dropped    int
}

func (c *capped) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(p)
	if room := outputLimit/2 - len(c.head); room > 0 {
		take := min(room, len(p))
		c.head = append(c.head, p[:take]...)
		p = p[take:]
	}
	c.tail = append(c.tail, p...)
	if over := len(c.tail) - outputLimit/2; over > 0 {
		c.dropped += over
		c.tail = append(c.tail[:0], c.tail[over:]...)
	}
	return n, nil
}

func (c *capped) Bytes() []byte {
	if c.dropped == 0 {
		return append(bytes.Clone(c.head), c.tail...)
	}
	note := fmt.Sprintf("\n[%d bytes left out]\n", c.dropped)
	return append(append(bytes.Clone(c.head), note...), c.tail...)
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
