package config

import (
	"fmt"
	"path"
	"strings"
)

// taken are places where rocca must not put a directory of its own, with the
// reason. Nothing beneath them will do either.
var taken = []struct{ place, why string }{
	{"/bin", "belongs to the system"}, {"/boot", "belongs to the system"}, {"/dev", "belongs to the system"},
	{"/etc", "belongs to the system"}, {"/lib", "belongs to the system"}, {"/lib32", "belongs to the system"},
	{"/lib64", "belongs to the system"}, {"/libx32", "belongs to the system"}, {"/lost+found", "belongs to the system"},
	{"/proc", "belongs to the system"}, {"/sbin", "belongs to the system"}, {"/sys", "belongs to the system"},
	{"/usr", "belongs to the system"}, {"/var/backups", "belongs to the system"}, {"/var/cache", "belongs to the system"},
	{"/var/lib/apt", "belongs to the system"}, {"/var/lib/dpkg", "belongs to the system"},
	{"/var/lib/systemd", "belongs to the system"}, {"/var/lib/mysql", "belongs to the database server"},
	{"/var/lib/php", "belongs to PHP"}, {"/var/lib/rocca", "belongs to rocca"}, {"/var/log", "belongs to the system"},
	{"/var/mail", "belongs to the system"}, {"/var/spool", "belongs to the system"},
	{"/home", "is hidden from PHP by its sandbox"}, {"/root", "is hidden from PHP by its sandbox"},
	{"/run", "is emptied at every boot"}, {"/var/run", "is emptied at every boot"}, {"/var/lock", "is emptied at every boot"},
	{"/tmp", "can be written by everybody"}, {"/var/tmp", "can be written by everybody"},
}

// shared are directories of many programs; one of their own beneath them is fine.
var shared = []string{"/", "/var", "/var/www", "/var/www/html", "/var/lib", "/var/local", "/var/opt", "/srv", "/opt", "/mnt", "/media", "/usr/share"}

// path checks the form of a path and tells whether it is good.
func (r *rules) path(at, text string) bool {
	switch {
	case !strings.HasPrefix(text, "/"):
		r.report(at, "", "must be an absolute path")
	case !safePath.MatchString(text):
		r.report(at, "", "must be a path of letters, digits and / . _ - + @ only")
	case path.Clean(text) != text:
		r.report(at, "write it as "+path.Clean(text), "must be a path without . and .. and without doubled or trailing slashes")
	case len(text) > 200:
		r.report(at, "", "must be a path of at most 200 characters")
	default:
		return true
	}
	return false
}

// file checks the path of a file that root trusts.
func (r *rules) file(at, text string) {
	if !r.path(at, text) {
		return
	}
	for _, place := range []string{"/tmp", "/var/tmp", "/dev", "/proc"} {
		if within(text, place) {
			r.report(at, "", "lies in %s, where others can put files", place)
			return
		}
	}
	if text == "/" {
		r.report(at, "", "must be a file")
	}
}

// directory checks the path of a directory that rocca fills and owns.
func (r *rules) directory(at, text string) {
	if r.path(at, text) {
		r.place(at, text)
	}
}

// docroot checks a directory that another app fills. Debian has some web
// applications beneath /usr/share.
func (r *rules) docroot(at, text string) {
	if r.path(at, text) && !strings.HasPrefix(text, "/usr/share/") && text != "/var/www/html" {
		r.place(at, text)
	}
}

func (r *rules) place(at, text string) {
	for _, t := range taken {
		if within(text, t.place) {
			r.report(at, "", "lies in %s, which %s", t.place, t.why)
			return
		}
	}
	for _, place := range shared {
		if text == place {
			r.report(at, "", "must be a directory of its own, not %s itself", place)
			return
		}
	}
}

// apart checks that no document root holds what must not be served, and that
// no two applications share one.
func (r *rules) apart(c Config) {
	// The tracker has a state of its own beside that of the UI.
	states := []string{c.State, c.State + "-tracker"}
	for _, state := range states {
		if r.reported("base") || r.reported("state") {
			break
		}
		switch {
		case within(state, c.Base):
			r.report("state", "", "lies in base (%s): what Matomo writes must be outside the document root", c.Base)
		case within(c.Base, state):
			r.report("base", "", "lies in the state directory %s: what is served must be outside of it", state)
		}
	}
	for i, app := range c.Apps {
		at := fmt.Sprintf("apps[%d].docroot", i)
		if app.Docroot == "" {
			continue
		}
		for _, own := range append([]string{c.Base}, states...) {
			if within(app.Docroot, own) || within(own, app.Docroot) {
				r.report(at, "", "%s overlaps Matomo's directory %s", app.Docroot, own)
			}
		}
		for j, other := range c.Apps[:i] {
			if other.Docroot != "" && (within(app.Docroot, other.Docroot) || within(other.Docroot, app.Docroot)) {
				r.report(at, "", "%s overlaps the docroot of apps[%d], %s", app.Docroot, j, other.Docroot)
			}
		}
	}
	for _, private := range []struct{ at, file string }{{"tls.certificate", c.TLS.Certificate}, {"tls.key", c.TLS.Key}, {"database.ca", c.Database.CA}, {"database.credentials", c.Database.Credentials}, {"secrets", c.Secrets}} {
		if private.file == "" {
			continue
		}
		places := append([]string{c.Base}, states...)
		for _, app := range c.Apps {
			places = append(places, app.Docroot)
		}
		for _, place := range places {
			if place != "" && within(private.file, place) {
				r.report(private.at, "", "lies in %s, which is served or written by an application", place)
			}
		}
	}
}

// within tells whether a clean path is a directory or lies beneath it. Nothing
// lies within what is not an absolute path.
func within(text, directory string) bool {
	if !strings.HasPrefix(directory, "/") {
		return false
	}
	return text == directory || strings.HasPrefix(text, strings.TrimSuffix(directory, "/")+"/")
}
