package files

import (
	"bytes"
	"encoding/pem"
	"html"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// shortest is the length of a secret that can be looked for: a shorter one is
// found in places that have nothing to do with it.
const shortest = 8

// keyMark ends the first line of every private key in PEM (RFC 7468).
const keyMark = "PRIVATE KEY-----"

const (
	privateKey = "private key"
	keyLimit   = 64 << 10 // bytes of a private key
	keysLimit  = 20       // beginnings of keys in one file that are looked at
)

// matcher looks for many texts at once, by the method of Wu and Manber: the
// last two bytes of a window as long as the shortest text tell how far it can
// be moved on.
type matcher struct {
	texts  []text
	window int
	shift  [1 << shiftBits]uint8
	ends   map[uint16][]int // texts by the last two bytes of their first window
}

type text struct {
	kind  string
	value []byte
}

const shiftBits = 12

func slot(a, b byte) uint16 { return uint16(a)<<4&(1<<shiftBits-1) ^ uint16(b) }

func newMatcher(secrets []Secret) *matcher {
	m := &matcher{ends: map[uint16][]int{}, texts: []text{{privateKey, []byte(keyMark)}}, window: len(keyMark)}
	for _, s := range secrets {
		value := s.Value.Reveal()
		// As it is, as Matomo writes it to config.ini.php, and as it is in a URL.
		written := strings.ReplaceAll(html.EscapeString(value), "$", "&#36;")
		for _, form := range slices.Compact([]string{value, written, url.QueryEscape(value)}) {
			if len(value) >= shortest {
				m.texts = append(m.texts, text{s.Kind, []byte(form)})
				m.window = min(m.window, len(form))
			}
		}
	}
	for i := range m.shift {
		m.shift[i] = uint8(m.window - 1)
	}
	for number, t := range m.texts {
		for i := 1; i < m.window; i++ {
			at := slot(t.value[i-1], t.value[i])
			m.shift[at] = min(m.shift[at], uint8(m.window-1-i))
		}
		end := slot(t.value[m.window-2], t.value[m.window-1])
		m.ends[end] = append(m.ends[end], number)
	}
	return m
}

// each calls found with the number of a text and where it begins. It goes on
// behind that.
func (m *matcher) each(content []byte, found func(t text, at int)) {
	for i := m.window - 1; i < len(content); {
		at := slot(content[i-1], content[i])
		if move := m.shift[at]; move > 0 {
			i += int(move)
			continue
		}
		start := i - m.window + 1
		for _, number := range m.ends[at] {
			if bytes.HasPrefix(content[start:], m.texts[number].value) {
				found(m.texts[number], start)
			}
		}
		i++
	}
}

// awsKey is an access key of AWS; those of its documentation end in EXAMPLE.
var awsKey = regexp.MustCompile(`\b(?:AKIA|ASIA)[A-Z2-7]{16}\b`)

// search looks for secrets in the content of a file, which is empty when it is
// too large. Nothing of a secret gets into the facts.
func (s *survey) search(w *worker, name string, mode fs.FileMode, content []byte) {
	if s.may.all(name) || bytes.IndexByte(content[:min(len(content), 8000)], 0) >= 0 {
		return // it may hold them, or is not text
	}
	var noted []string
	marks := 0
	note := func(kind string, at int) {
		if slices.Contains(noted, kind) {
			return
		}
		noted = append(noted, kind)
		line := 1 + bytes.Count(content[:at], []byte("\n"))
		w.oddities.Secrets = append(w.oddities.Secrets, facts.SecretPlace{Path: name, Line: line, Kind: kind})
	}
	s.matcher.each(content, func(t text, at int) {
		switch {
		case t.kind != privateKey:
			note(t.kind, at)
		case marks < keysLimit:
			marks++
			s.key(w, name, mode, content, at, note)
		}
	})
	for _, mark := range []string{"AKIA", "ASIA"} {
		if !bytes.Contains(content, []byte(mark)) {
			continue
		}
		for _, at := range awsKey.FindAllIndex(content, -1) {
			if !bytes.HasSuffix(content[at[0]:at[1]], []byte("EXAMPLE")) {
				note("AWS key", at[0])
			}
		}
	}
}

// key notes a private key. It also is a secret out of place when others than
// its owner can read it, or when it lies in Matomo's document root.
func (s *survey) key(w *worker, name string, mode fs.FileMode, content []byte, at int, note func(string, int)) {
	line := max(0, at-len("-----BEGIN ENCRYPTED "))
	begin := line + bytes.LastIndex(content[line:at], []byte("-----BEGIN "))
	if begin < line || bytes.IndexByte(content[begin:at], '\n') >= 0 || s.may.keys(name) {
		return
	}
	if n := len(w.keys); n > 0 && w.keys[n-1].Path == name {
		return
	}
	kind := strings.TrimSpace(string(content[begin+len("-----BEGIN ") : at]))
	block, _ := pem.Decode(content[begin:min(len(content), begin+keyLimit)])
	if block == nil {
		return // words about keys, or an example that was cut
	}
	found := facts.PrivateKey{Path: name, Kind: strings.TrimSpace(strings.TrimSuffix(kind, "ENCRYPTED"))}
	found.Encrypted = kind == "ENCRYPTED" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") || kind == "OPENSSH" && !openSSHOpen(block.Bytes)
	w.keys = append(w.keys, found)
	if mode&0o077 != 0 && !found.Encrypted || s.Code != "" && within(name, s.Code) {
		note(privateKey, begin)
	}
}

// openSSHOpen tells whether a key of OpenSSH's own form needs no passphrase
// (PROTOCOL.key of OpenSSH): the name of its cipher is "none".
func openSSHOpen(key []byte) bool {
	rest, is := bytes.CutPrefix(key, []byte("openssh-key-v1\x00"))
	return is && bytes.HasPrefix(rest, []byte("\x00\x00\x00\x04none"))
}

// legitimate are the files that may hold secrets.
type legitimate struct {
	files map[string]bool
	dirs  []string
}

func newLegitimate(r Request) legitimate {
	l := legitimate{files: map[string]bool{}}
	for _, name := range r.Legitimate {
		if dir, isDir := strings.CutSuffix(name, "/"); isDir {
			l.dirs = append(l.dirs, dir)
		} else {
			l.files[name] = true
		}
	}
	for _, c := range r.Contexts {
		l.files[c.Config] = true
	}
	return l
}

// all tells whether a file may hold any secret.
func (l legitimate) all(name string) bool {
	return l.files[name] || slices.ContainsFunc(l.dirs, func(dir string) bool { return within(name, dir) })
}

// keys tells whether a file is where private keys belong.
func (l legitimate) keys(name string) bool {
	usual := within(name, "/etc/ssl/private") || within(name, "/etc/letsencrypt") ||
		path.Dir(name) == "/etc/ssh" && strings.HasPrefix(path.Base(name), "ssh_host_")
	return usual || l.all(name)
}

// isBinaryName tells files that hold no text. Their content is not looked at,
// because there are so many of them.
func isBinaryName(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".png", ".jpg", ".jpeg", ".gif", ".ico", ".webp", ".woff", ".woff2", ".ttf", ".eot", ".otf", ".mo", ".gz", ".xz", ".br", ".zst", ".bz2", ".zip", ".mmdb", ".so", ".journal":
		return true
	}
	return false
}
