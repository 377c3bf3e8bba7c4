package demo

import (
	"bufio"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// mirror is where this host gets Debian from.
type mirror struct {
	Archive  string // URI of the main archive
	Security string // URI of the security archive; empty when the host names none
	Keyring  string // file with the OpenPGP keys that both are signed with
}

// ErrNoMirror is the cause when no Debian mirror is known or none answers.
var ErrNoMirror = errors.New("no Debian mirror")

// debianKeyring holds the archive keys; package debian-archive-keyring brings it.
const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// aptSource is one source of packages as apt knows it, see sources.list(5).
type aptSource struct {
	URIs       []string
	Suites     []string
	Components []string
	SignedBy   string // keyring file, or empty
}

// hostMirror reads apt's sources of this host.
func hostMirror() (mirror, error) {
	var sources []aptSource
	lists, _ := filepath.Glob("/etc/apt/sources.list.d/*.list")
	for _, name := range append([]string{"/etc/apt/sources.list"}, lists...) {
		text, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return mirror{}, fmt.Errorf("read apt's sources: %w", err)
		}
		sources = append(sources, parseOneLineSources(string(text))...)
	}
	stanzas, _ := filepath.Glob("/etc/apt/sources.list.d/*.sources")
	for _, name := range stanzas {
		text, err := os.ReadFile(name)
		if err != nil {
			return mirror{}, fmt.Errorf("read apt's sources: %w", err)
		}
		sources = append(sources, parseDeb822Sources(string(text))...)
	}
	for i := range sources {
		uris, err := resolveMirrorLists(sources[i].URIs)
		if err != nil {
			return mirror{}, err
		}
		sources[i].URIs = uris
	}
	return chooseMirror(sources)
}

// parseOneLineSources reads the old format: deb [option=value ...] URI SUITE COMPONENT...
func parseOneLineSources(text string) []aptSource {
	var sources []aptSource
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb")
		if !ok || rest == "" || strings.TrimLeft(rest, " \t") == rest && rest[0] != '[' {
			continue
		}
		rest = strings.TrimSpace(rest)
		var source aptSource
		if strings.HasPrefix(rest, "[") {
			options, after, closed := strings.Cut(rest[1:], "]")
			if !closed {
				continue
			}
			rest = after
			for _, option := range strings.Fields(options) {
				if key, value, ok := strings.Cut(option, "="); ok && strings.EqualFold(key, "signed-by") {
					source.SignedBy = value
				}
			}
		}
		words := strings.Fields(rest)
		if len(words) < 2 {
			continue
		}
		source.URIs, source.Suites, source.Components = words[:1], words[1:2], words[2:]
		sources = append(sources, source)
	}
	return sources
}

// parseDeb822Sources reads the stanzas of a .sources file.
func parseDeb822Sources(text string) []aptSource {
	var sources []aptSource
	fields, last := map[string]string{}, ""
	flush := func() {
		types, enabled := strings.Fields(fields["types"]), strings.ToLower(strings.TrimSpace(fields["enabled"]))
		off := slices.Contains([]string{"no", "false", "off", "0", "without", "disable"}, enabled)
		if slices.Contains(types, "deb") && !off {
			sources = append(sources, aptSource{
				URIs:       strings.Fields(fields["uris"]),
				Suites:     strings.Fields(fields["suites"]),
				Components: strings.Fields(fields["components"]),
				SignedBy:   strings.TrimSpace(fields["signed-by"]),
			})
		}
		fields, last = map[string]string{}, ""
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			flush()
		case line[0] == ' ' || line[0] == '\t':
			fields[last] += "\n" + strings.TrimSpace(line)
		default:
			key, value, _ := strings.Cut(line, ":")
			last = strings.ToLower(strings.TrimSpace(key))
			fields[last] = strings.TrimSpace(value)
		}
	}
	flush()
	return sources
}

// resolveMirrorLists replaces "mirror+file:/LIST", which Debian's cloud images
// use and only apt understands, by the first URI in that list.
func resolveMirrorLists(uris []string) ([]string, error) {
	var resolved []string
	for _, uri := range uris {
		name, ok := strings.CutPrefix(uri, "mirror+file:")
		if !ok {
			resolved = append(resolved, uri)
			continue
		}
		text, err := os.ReadFile(path.Clean("/" + name))
		if err != nil {
			return nil, fmt.Errorf("read apt's list of mirrors %s: %w", uri, err)
		}
		for line := range strings.Lines(string(text)) {
			if words := strings.Fields(line); len(words) > 0 && !strings.HasPrefix(words[0], "#") {
				resolved = append(resolved, words[0])
				break
			}
		}
	}
	return resolved, nil
}

// chooseMirror picks Debian's own archives out of apt's sources. What a third
// party serves is left out: by its suite, its components or its own key. The
// choice needs no trust: debootstrap and apt check the signatures.
func chooseMirror(sources []aptSource) (mirror, error) {
	chosen := mirror{Keyring: debianKeyring}
	for _, source := range sources {
		if !slices.Contains(source.Components, "main") {
			continue
		}
		for _, text := range source.URIs {
			uri, err := url.Parse(text)
			if err != nil || uri.Scheme != "http" && uri.Scheme != "https" {
				continue
			}
			debian := isDebianDirectory(uri.Path)
			signed := source.SignedBy == "" || strings.HasPrefix(path.Base(source.SignedBy), "debian-archive")
			if !signed && !debian {
				continue
			}
			if uri.User != nil {
				return mirror{}, fmt.Errorf("use the Debian mirror on %s: its URI in apt's sources carries a login, which other users could see"+
					"\nhint: move the login to /etc/apt/auth.conf.d and use a mirror without one for rocca demo", uri.Host)
			}
			for _, suite := range source.Suites {
				security, ok := debianSuite(suite)
				if !ok {
					continue
				}
				place := &chosen.Archive
				if security {
					place = &chosen.Security
				}
				// The first wins, but a directory named as Debian's own wins over another.
				if *place != "" && (!debian || isDebianDirectory(*place)) {
					continue
				}
				*place = text
				if strings.HasPrefix(source.SignedBy, "/") && !strings.ContainsAny(source.SignedBy, " \n,") {
					chosen.Keyring = source.SignedBy
				}
			}
		}
	}
	if chosen.Archive == "" {
		return mirror{}, fmt.Errorf("find where to get Debian: %w in this host's apt sources that is reached by http or https"+
			"\nhint: add one line with your mirror to /etc/apt/sources.list: deb URI bookworm main", ErrNoMirror)
	}
	return chosen, nil
}

// isDebianDirectory tells whether a URI or path ends as mirrors of Debian do.
func isDebianDirectory(uri string) bool {
	return path.Base(uri) == "debian" || path.Base(uri) == "debian-security"
}

// debianSuite tells whether a suite is one of Debian's, and whether it holds
// security updates.
func debianSuite(suite string) (security, ok bool) {
	release, pocket, _ := strings.Cut(suite, "-")
	if !slices.Contains([]string{"bullseye", "bookworm", "trixie", "forky", "sid", "oldoldstable", "oldstable", "stable", "testing", "unstable"}, release) {
		return false, false
	}
	known := []string{"", "updates", "security", "backports", "proposed-updates"}
	return pocket == "security", slices.Contains(known, pocket)
}

// sourcesList is the /etc/apt/sources.list of a guest.
func (m mirror) sourcesList(codename, keyring string) string {
	option := ""
	if keyring != "" {
		option = "[signed-by=" + keyring + "] "
	}
	list := fmt.Sprintf("deb %s%s %s main\ndeb %s%s %s-updates main\n", option, m.Archive, codename, option, m.Archive, codename)
	if m.Security != "" {
		list += fmt.Sprintf("deb %s%s %s-security main\n", option, m.Security, codename)
	}
	return list
}

// transport is how this host's apt reaches its mirrors.
type transport struct {
	Config string   // apt.conf lines for a guest
	Env    []string // for programs other than apt: http_proxy and https_proxy
}

// parseTransport picks the settings that matter for reaching a mirror out of
// what `apt-config dump` prints: proxies, time-outs, and whether an old index
// of a snapshot is accepted.
func parseTransport(dump string) transport {
	var t transport
	for line := range strings.Lines(dump) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, " ")
		value = strings.Trim(value, `";`)
		if !ok || value == "" {
			continue
		}
		lower := strings.ToLower(key)
		switch {
		case lower == "acquire::http::proxy-auto-detect", lower == "acquire::https::proxy-auto-detect":
			continue // a program of the host
		case strings.HasPrefix(lower, "acquire::http::"), strings.HasPrefix(lower, "acquire::https::"),
			lower == "acquire::check-valid-until", lower == "acquire::check-date", lower == "acquire::retries":
			t.Config += line + "\n"
		}
		if value == "DIRECT" {
			continue
		}
		switch lower {
		case "acquire::http::proxy":
			t.Env = append(t.Env, "http_proxy="+value)
		case "acquire::https::proxy":
			t.Env = append(t.Env, "https_proxy="+value)
		}
	}
	return t
}
