package files

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"strings"

	"rocca/internal/collect/inode"
	"rocca/internal/facts"
)

// compiled is where Twig keeps a template: by the first two digits of a hash.
var compiled = regexp.MustCompile(`^templates_c/([0-9a-f]{2})/([0-9a-f]{2})[0-9a-f]{30,62}\.php$`)

// foreign notes what is in a tmp of Matomo and was not written by Matomo.
func (s *survey) foreign(w *worker, c *facts.Context, name string, e *inode.Entry) {
	if why := s.whyForeign(w, c, name, e); why != "" {
		w.integrity.Foreign = append(w.integrity.Foreign, facts.Foreign{Path: name, Owner: s.names.Describe(&e.Stat).Owner, Why: why})
	}
}

func (s *survey) whyForeign(w *worker, c *facts.Context, name string, e *inode.Entry) string {
	switch e.Type() {
	case facts.Symlink:
		return "is a link to " + e.Target()
	case facts.Other:
		return "is a device, a socket or a pipe"
	}
	if e.Stat.Mode&0o111 != 0 {
		return "can be executed"
	}
	php := isPHP(e.Name)
	limit := 512
	if php {
		limit = cacheLimit
	}
	content, whole := s.read(w, name, e, limit)
	if content == nil {
		return ""
	}
	text := strings.TrimLeft(strings.TrimPrefix(string(content[:min(len(content), 512)]), "\ufeff"), " \t\r\n")
	switch {
	case !php && (strings.HasPrefix(text, "<?") && !strings.HasPrefix(text, "<?xml") || strings.HasPrefix(text, "#!") || strings.HasPrefix(text, "\x7fELF")):
		return "is a program, whatever its name says"
	case !php:
		return ""
	case !whole:
		return "is larger than what Matomo writes"
	case !bytes.Contains(content, []byte("<?")):
		return "" // text: Matomo puts such an index.php into each directory
	}
	relative := strings.TrimPrefix(name, strings.TrimSuffix(c.Tmp, "/")+"/")
	place := compiled.FindStringSubmatch(relative)
	switch {
	case place != nil && place[1] == place[2] && isTemplate(string(content)):
	case within(path.Dir(relative), "cache") && isCache(string(content)):
	default:
		return "is neither of Matomo's cache nor a compiled template: " + phpDoes(content)
	}
	if owner := s.names.Describe(&e.Stat).Owner; c.User != "" && owner != c.User {
		return fmt.Sprintf("belongs to %s, not to %s", owner, c.User)
	}
	return ""
}
