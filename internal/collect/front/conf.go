package front

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/rooted"
)

// Caps on what one configuration may be: far beyond real ones.
const (
	fileLimit    = 8 << 20  // bytes of one file
	allLimit     = 64 << 20 // bytes of all files
	filesLimit   = 4000
	includeLimit = 30 // files on the way from the main one
	blockLimit   = 60 // blocks within blocks
	faultLimit   = 100
)

// conf reads the files of one configuration and notes what is wrong with them.
type conf struct {
	root   rooted.Dir
	open   []string // files on the way to the one that is read
	files  []string
	seen   map[string]bool
	opened int // files, one as often as it is included
	bytes  int
	faults []string
}

func newConf(root rooted.Dir) *conf { return &conf{root: root, seen: map[string]bool{}} }

func (c *conf) fault(file string, line int, format string, values ...any) {
	if len(c.faults) < faultLimit {
		c.faults = append(c.faults, file+":"+strconv.Itoa(line)+": "+fmt.Sprintf(format, values...))
	}
}

// enter opens a file that is included at a place; leave ends it. A file that
// includes itself is refused.
func (c *conf) enter(file, from string, line int) (text string, ok bool) {
	real, err := c.root.Resolve(file)
	if err != nil {
		c.fault(from, line, "%v", err)
		return "", false
	}
	if slices.Contains(c.open, real) {
		c.fault(from, line, "%s includes itself", file)
		return "", false
	}
	if c.opened++; len(c.open) >= includeLimit || c.opened > filesLimit || c.bytes > allLimit {
		c.fault(from, line, "%s is not read: too many files are included", file)
		return "", false
	}
	content, err := c.root.Read(file, fileLimit)
	if err != nil {
		c.fault(from, line, "%v", err)
		return "", false
	}
	c.bytes += len(content)
	c.open = append(c.open, real)
	if !c.seen[file] {
		c.seen[file] = true
		c.files = append(c.files, file)
	}
	return string(content), true
}

func (c *conf) leave() { c.open = c.open[:len(c.open)-1] }

// at is a place in a file.
type at struct {
	file string
	line int
}

func (a at) String() string { return a.file + ":" + strconv.Itoa(a.line) }

// add appends a directive with its place. Names are written in lower case.
func add(to map[string][]facts.Setting, name, value string, from at) {
	name = strings.ToLower(name)
	to[name] = append(to[name], facts.Setting{Value: value, From: from.String()})
}

// last is the directive that counts where only one can.
func last(of map[string][]facts.Setting, name string) string {
	if values := of[name]; len(values) > 0 {
		return values[len(values)-1].Value
	}
	return ""
}

// endpoint reads "80", "*:80", "127.0.0.1:80", "[::1]:80" and "example.org";
// the port is 0 when there is none.
func endpoint(text string) (address string, port int) {
	if number, err := strconv.Atoi(text); err == nil {
		return "", number
	}
	address = text
	if colon := strings.LastIndex(text, ":"); colon >= 0 && colon > strings.LastIndex(text, "]") {
		address = text[:colon]
		port, _ = strconv.Atoi(text[colon+1:])
	}
	address = strings.Trim(address, "[]")
	if address == "*" || address == "0.0.0.0" || strings.EqualFold(address, "_default_") {
		address = ""
	}
	return address, port
}

// backend writes where a request is passed to in one way: a path with its links
// resolved, or address and port.
func (c *conf) backend(target string) string {
	target = strings.TrimPrefix(target, "proxy:")
	if path, _, isUnix := strings.Cut(strings.TrimPrefix(target, "unix:"), "|"); isUnix || strings.HasPrefix(target, "unix:") {
		return c.socket(path)
	}
	scheme, rest, has := strings.Cut(target, "://")
	if !has {
		return target
	}
	if path, isUnix := strings.CutPrefix(rest, "unix:"); isUnix {
		path, _, _ = strings.Cut(path, ":")
		return c.socket(path)
	}
	host, _, _ := strings.Cut(rest, "/")
	if _, port := endpoint(host); port == 0 {
		switch scheme {
		case "http":
			host += ":80"
		case "https":
			host += ":443"
		case "fcgi":
			host += ":8000"
		}
	}
	return host
}

// socket resolves the links on the way to a socket, such as those of Debian's
// alternatives.
func (c *conf) socket(path string) string {
	if real, err := c.root.Resolve(path); err == nil {
		return real
	}
	if rest, old := strings.CutPrefix(path, "/var/run/"); old {
		return "/run/" + rest
	}
	return path
}

// real resolves the links on the way to a document root.
func (c *conf) real(docroot string) string {
	if docroot == "" {
		return ""
	}
	path, err := c.root.Resolve(docroot)
	if err != nil {
		return ""
	}
	return path
}
