package config

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// sizeLimit caps rocca.yaml, in bytes. The template has about 6 KB.
const sizeLimit = 64 << 10

// Defaults is what the defaults depend on besides the file. The caller asks
// the system for it; this package does not.
type Defaults struct {
	Hostname string // the machine's name, fully qualified where it has such a name
}

// Config returns the configuration of an empty file.
func (d Defaults) Config() Config {
	c := d.start()
	c.follow(true, true)
	return c
}

// start returns the defaults that do not follow from another key.
func (d Defaults) start() Config {
	return Config{
		Domain:    []string{strings.ToLower(strings.TrimSuffix(d.Hostname, "."))},
		Port:      443,
		Front:     FrontNginx,
		Base:      "/var/www/matomo",
		State:     "/var/lib/matomo",
		Database:  Database{Port: 3306, Name: "matomo", Prefix: "matomo_"},
		Site:      Site{Name: "Website", Timezone: "UTC", Currency: "EUR"},
		Superuser: Superuser{Login: "owner"},
		Language:  "en",
		Trim:      true,
		Hardening: Hardening{Firewall: true, Kernel: true, Mounts: true, SSH: true, Upgrades: true, AuditTimer: true},
		Privacy:   Privacy{RawDays: 180},
	}
}

// follow sets the defaults that follow from the main domain.
func (c *Config) follow(url, email bool) {
	main := "localhost"
	if len(c.Domain) > 0 {
		main = c.Domain[0]
	}
	if url {
		c.Site.URL = "https://" + main + "/"
	}
	if !email {
		return
	}
	c.Superuser.Email = "owner@" + main
	if !validEmail(c.Superuser.Email) {
		// Matomo takes neither an address nor a name without a dot; .invalid
		// is reserved for names that never exist.
		c.Superuser.Email = "owner@" + strings.ReplaceAll(main, ".", "-") + ".invalid"
	}
}

// source is where the values of a Config came from.
type source struct {
	file      string              // empty without a file
	positions map[string]position // of every key and entry that was set
	warnings  []Problem
}

type position struct{ line, column int }

// File is the file that Load read, "" when there was none.
func (c Config) File() string { return c.source.file }

// Warnings lists what Load accepted but its owner should know.
func (c Config) Warnings() []Problem { return slices.Clone(c.source.warnings) }

// Set lists the keys that the file sets, such as "database.host", sorted.
func (c Config) Set() []string {
	var set []string
	for path := range c.source.positions {
		if k, known := describe(path); known && k.path == path && k.example != "" {
			set = append(set, path)
		}
	}
	slices.Sort(set)
	return set
}

// Load reads the file and fills in the defaults. At DefaultPath a missing file
// is an empty one. The error is an *Error with every problem of the file.
func Load(path string, defaults Defaults) (Config, error) {
	return load(path, defaults, path == DefaultPath)
}

func load(path string, defaults Defaults, optional bool) (Config, error) {
	text, err := read(path)
	if errors.Is(err, os.ErrNotExist) {
		if optional {
			return parse("", nil, defaults)
		}
		return Config{}, failed(Problem{File: path, Text: "no such file", Hint: "rocca config init " + path + " writes one to start from"})
	}
	if err != nil {
		var known *Error
		if errors.As(err, &known) {
			return Config{}, known
		}
		return Config{}, failed(Problem{File: path, Text: err.Error()})
	}
	return parse(path, text, defaults)
}

// read returns the text of a file that nobody but root can have changed when
// root reads it: what it says is done with root's rights.
func read(path string) ([]byte, error) {
	// O_NONBLOCK: opening a named pipe must not hang.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, failed(Problem{File: path, Text: "is a symbolic link, which could be pointed elsewhere", Hint: "name the file that it leads to"})
	}
	if err != nil {
		return nil, cause(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, cause(err)
	}
	if !info.Mode().IsRegular() {
		return nil, failed(Problem{File: path, Text: "is not a regular file"})
	}
	if os.Geteuid() == 0 {
		if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 0 {
			return nil, failed(Problem{File: path, Text: fmt.Sprintf("belongs to user %d, who could decide what root does", owner), Hint: "chown root " + path})
		}
		if mode := info.Mode().Perm(); mode&0o022 != 0 {
			return nil, failed(Problem{File: path, Text: fmt.Sprintf("mode %04o lets others write it and so decide what root does", mode), Hint: "chmod go-w " + path})
		}
	}
	text, err := io.ReadAll(io.LimitReader(file, sizeLimit+1))
	if err != nil {
		return nil, cause(err)
	}
	if len(text) > sizeLimit {
		return nil, failed(Problem{File: path, Text: fmt.Sprintf("is larger than %d bytes", sizeLimit)})
	}
	return text, nil
}

// cause strips the path that a Problem names already.
func cause(err error) error {
	var failed *os.PathError
	if errors.As(err, &failed) {
		return fmt.Errorf("%s: %w", failed.Op, failed.Err)
	}
	return err
}

// parse turns the text of a file into a Config.
func parse(file string, text []byte, defaults Defaults) (Config, error) {
	c := defaults.start()
	d := decoder{file: file, positions: map[string]position{}}
	if root := d.document(text); root != nil {
		d.value(root, valueOf(&c), "", position{1, 1})
	}
	_, urlSet := d.positions["site.url"]
	_, emailSet := d.positions["superuser.email"]
	c.follow(!urlSet, !emailSet)

	problems := d.problems
	for _, p := range c.problems() {
		// The defaults of these two follow from the domain, which is reported.
		if p.Key == "site.url" && !urlSet || p.Key == "superuser.email" && !emailSet {
			continue
		}
		if slices.ContainsFunc(d.problems, func(bad Problem) bool { return related(p.Key, bad.Key) }) {
			continue
		}
		problems = append(problems, d.locate(p))
	}
	if len(problems) > 0 {
		sortProblems(problems)
		return Config{}, &Error{Problems: problems}
	}
	d.wholeNetworks("admin_networks", c.AdminNetworks)
	d.wholeNetworks("ssh_networks", c.SSHNetworks)
	c.source = source{file: file, positions: d.positions, warnings: d.warnings}
	return c, nil
}

// wholeNetworks clears the bits beyond the prefix length, and warns of them.
func (d *decoder) wholeNetworks(key string, networks []netip.Prefix) {
	for i, network := range networks {
		if network == network.Masked() {
			continue
		}
		networks[i] = network.Masked()
		d.warnings = append(d.warnings, d.locate(Problem{
			Key:  fmt.Sprintf("%s[%d]", key, i),
			Text: fmt.Sprintf("%s has bits set beyond its prefix length and is read as the whole network %s", network, network.Masked()),
			Hint: fmt.Sprintf("write %s, or %s for the single address", network.Masked(), network.Addr()),
		}))
	}
}

// related tells whether one key is the other or holds it: a problem with one
// makes a second one with the other likely to be the same mistake.
func related(a, b string) bool {
	return a == b || beneath(a, b) || beneath(b, a)
}

func beneath(path, section string) bool {
	rest, found := strings.CutPrefix(path, section)
	return found && section != "" && rest != "" && strings.ContainsRune(".[", rune(rest[0]))
}

// document parses the YAML and returns what stands at its top, nil for an
// empty file or when it cannot be parsed.
func (d *decoder) document(text []byte) ast.Node {
	if where, bad := unprintable(text); bad != "" {
		d.report(where, "", "", "holds %s, which is not text", bad)
		return nil
	}
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var syntax yaml.Error
		if !errors.As(err, &syntax) || syntax.GetToken() == nil {
			d.report(position{}, "", "", "is not YAML: %v", err)
			return nil
		}
		at := syntax.GetToken().Position
		d.report(position{at.Line, at.Column}, "", "", "is not YAML: %s", syntax.GetMessage())
		return nil
	}
	var root ast.Node
	for _, document := range file.Docs {
		switch {
		case document.Body == nil:
		case root != nil || document.Body.Type() == ast.DirectiveType:
			d.report(at(document.Body), "", "leave out the lines that begin with --- or %", "holds more than one YAML document, or a directive")
			return nil
		default:
			root = document.Body
		}
	}
	return root
}

// unprintable finds the first character that YAML does not allow.
func unprintable(text []byte) (position, string) {
	where := position{1, 1}
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			return where, fmt.Sprintf("the byte %#02x", text[0])
		case r == '\n':
			where = position{where.line + 1, 0}
		case unicode.IsControl(r) && r != '\t' && r != '\r':
			return where, fmt.Sprintf("the control character %U", r)
		}
		where.column++
		text = text[size:]
	}
	return where, ""
}
