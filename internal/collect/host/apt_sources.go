package host

import (
	"bufio"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
)

const aptLists = "/var/lib/apt/lists/"

// aptSources reads sources.list(5): the one-line style and deb822.
func aptSources(root Root) ([]facts.AptSource, error) {
	files := []string{"/etc/apt/sources.list"}
	names, problem := root.list("/etc/apt/sources.list.d")
	for _, name := range names {
		if strings.HasSuffix(name, ".list") || strings.HasSuffix(name, ".sources") {
			files = append(files, "/etc/apt/sources.list.d/"+name)
		}
	}
	var sources []facts.AptSource
	for _, file := range files {
		content, err := root.readIfThere(file)
		if err != nil {
			problem = errors.Join(problem, err)
			continue
		}
		parse := parseOneLine
		if strings.HasSuffix(file, ".sources") {
			parse = parseDeb822
		}
		for _, source := range parse(content) {
			source.File = file
			sources = append(sources, source)
		}
	}
	for i, s := range sources {
		sources[i].Debian = fromDebian(root, s)
	}
	if problem != nil {
		problem = fmt.Errorf("read where packages come from: %w", problem)
	}
	return sources, problem
}

// parseOneLine reads "deb [options] uri suite components".
func parseOneLine(content string) []facts.AptSource {
	var sources []facts.AptSource
	number := 0
	for line := range strings.Lines(content) {
		number++
		line, _, _ = strings.Cut(line, "#")
		rest, isSource := strings.CutPrefix(strings.TrimSpace(line), "deb")
		if !isSource || rest == "" || rest[0] != ' ' && rest[0] != '\t' && rest[0] != '[' {
			continue
		}
		s := facts.AptSource{Line: number}
		rest = strings.TrimSpace(rest)
		if strings.HasPrefix(rest, "[") {
			options, after, closed := strings.Cut(rest[1:], "]")
			if !closed {
				continue // apt refuses it
			}
			for _, option := range strings.Fields(options) {
				key, value, _ := strings.Cut(option, "=")
				setSourceOption(&s, key, value)
			}
			rest = after
		}
		fields := strings.Fields(rest)
		if len(fields) < 2 {
			continue
		}
		s.URI, s.Suite = withoutLogin(fields[0]), fields[1]
		sources = append(sources, s)
	}
	return sources
}

func setSourceOption(s *facts.AptSource, key, value string) {
	switch strings.ToLower(strings.TrimRight(key, "+-")) {
	case "signed-by":
		s.Signed = value
		if strings.Contains(value, "BEGIN PGP") {
			s.Signed = "a key in the file itself"
		}
	case "trusted", "allow-insecure":
		s.Trust = s.Trust || slices.Contains([]string{"yes", "true", "with", "on", "enable", "1"}, strings.ToLower(value))
	}
}

// withoutLogin takes user and password out of an address.
func withoutLogin(uri string) string {
	scheme, rest, found := strings.Cut(uri, "://")
	if !found {
		return uri
	}
	host, below, slash := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
	}
	if slash {
		host += "/" + below
	}
	return scheme + "://" + host
}

// parseDeb822 reads stanzas with Types, URIs and Suites.
func parseDeb822(content string) []facts.AptSource {
	var sources []facts.AptSource
	for _, fields := range deb822(content) {
		enabled := strings.ToLower(fields.values["enabled"])
		if slices.Contains([]string{"no", "false", "without", "off", "disable", "0"}, enabled) ||
			!slices.Contains(strings.Fields(fields.values["types"]), "deb") {
			continue
		}
		s := facts.AptSource{Line: fields.line}
		for _, key := range []string{"signed-by", "trusted", "allow-insecure"} {
			setSourceOption(&s, key, fields.values[key])
		}
		suites := strings.Fields(fields.values["suites"])
		for _, uri := range strings.Fields(fields.values["uris"]) {
			for _, suite := range suites {
				s.URI, s.Suite = withoutLogin(uri), suite
				sources = append(sources, s)
			}
			if len(sources) > filesLimit {
				return sources
			}
		}
	}
	return sources
}

// paragraph is a stanza of deb822(5), keys in lower case.
type paragraph struct {
	line   int
	values map[string]string
}

func deb822(content string) []paragraph {
	var all []paragraph
	var key string
	p := paragraph{values: map[string]string{}}
	number := 0
	for line := range strings.Lines(content + "\n\n") {
		number++
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			if len(p.values) > 0 {
				all = append(all, p)
			}
			p, key = paragraph{values: map[string]string{}}, ""
		case line[0] == ' ' || line[0] == '\t':
			if key != "" && len(p.values[key]) < lineLimit {
				p.values[key] += "\n" + strings.TrimSpace(line)
			}
		default:
			name, value, _ := strings.Cut(line, ":")
			if len(p.values) == 0 {
				p.line = number
			}
			key = strings.ToLower(strings.TrimSpace(name))
			p.values[key] = strings.TrimSpace(value)
		}
	}
	return all
}

// listPrefix is how apt names the lists of a source (URItoFileName).
func listPrefix(s facts.AptSource) string {
	uri := s.URI
	if _, rest, found := strings.Cut(uri, "://"); found {
		uri = rest
	} else if _, rest, found := strings.Cut(uri, ":"); found {
		uri = rest
	}
	uri = strings.TrimRight(uri, "/") + "/"
	if strings.HasSuffix(s.Suite, "/") {
		uri += strings.TrimPrefix(s.Suite, "./")
	} else {
		uri += "dists/" + s.Suite + "/"
	}
	var name strings.Builder
	for _, c := range []byte(uri) {
		switch {
		case c == '/':
			name.WriteByte('_')
		case strings.IndexByte("\\|{}[]<>\"^~_=!@#$%^&*", c) >= 0 || c <= ' ' || c >= 0x7f:
			fmt.Fprintf(&name, "%%%02x", c)
		default:
			name.WriteByte(c)
		}
	}
	return aptLists + name.String()
}

// releaseFile opens the signed description of a suite that apt has fetched.
func releaseFile(root Root, s facts.AptSource) (map[string]string, time.Time, error) {
	prefix := listPrefix(s)
	f, err := root.open(prefix+"InRelease", unix.O_NOFOLLOW, 0)
	if gone(err) {
		f, err = root.open(prefix+"Release", unix.O_NOFOLLOW, 0)
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return nil, time.Time{}, err
	}
	values := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "MD5Sum:") || strings.HasPrefix(line, "SHA256:") {
			break // all that is read stands before the hashes
		}
		key, value, _ := strings.Cut(line, ":")
		values[key] = strings.TrimSpace(value)
	}
	// The modification time is the server's; the change is when it was fetched.
	return values, time.Unix(stat.Ctim.Unix()), nil
}

// fromDebian tells whether a source is an archive of Debian. One that was never
// fetched is known by its host.
func fromDebian(root Root, s facts.AptSource) bool {
	release, _, err := releaseFile(root, s)
	if err == nil {
		origin := release["Origin"]
		return origin == "Debian" || origin == "Debian Backports"
	}
	_, rest, _ := strings.Cut(s.URI, "://")
	host, _, _ := strings.Cut(rest, "/")
	host, _, _ = strings.Cut(host, ":")
	return host == "debian.org" || strings.HasSuffix(host, ".debian.org")
}

// security tells whether a source offers security updates.
func security(root Root, s facts.AptSource) bool {
	if strings.HasSuffix(s.Suite, "-security") || strings.HasSuffix(s.Suite, "/updates") {
		return true
	}
	release, _, err := releaseFile(root, s)
	return err == nil && release["Label"] == "Debian-Security"
}

// aptPins reads apt_preferences(5).
func aptPins(root Root) ([]facts.AptPin, error) {
	files := []string{"/etc/apt/preferences"}
	names, err := root.list("/etc/apt/preferences.d")
	if err != nil {
		return nil, fmt.Errorf("read pins of apt: %w", err)
	}
	for _, name := range names {
		if aptPart(name, "pref") {
			files = append(files, "/etc/apt/preferences.d/"+name)
		}
	}
	var pins []facts.AptPin
	for _, file := range files {
		content, err := root.readIfThere(file)
		if err != nil {
			return pins, fmt.Errorf("read pins of apt: %w", err)
		}
		for _, p := range deb822(content) {
			priority, err := strconv.Atoi(p.values["pin-priority"])
			if err != nil || p.values["package"] == "" {
				continue // apt refuses it
			}
			pins = append(pins, facts.AptPin{File: file, Package: strings.Join(strings.Fields(p.values["package"]), " "), Pin: p.values["pin"], Priority: priority})
		}
	}
	return pins, nil
}

// aptPart tells whether apt reads a file of a directory of parts: by its
// extension, or none.
func aptPart(name, extension string) bool {
	ext := strings.TrimPrefix(path.Ext(name), ".")
	return (ext == "" || ext == extension) && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == "" && !strings.HasPrefix(name, ".")
}
