package host

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// rotation is what logrotate(8) does with the logs of some patterns.
type rotation struct {
	patterns []string
	days     int // of one file before the next
	count    int // files kept beside the current one
	maxAge   int // days
}

// keeps is how many days a line is kept at most. A rotation by size alone has
// no days; it is tried daily, so that each file counts as one at least.
func (r rotation) keeps() int {
	days := r.days * max(r.count, 1)
	if r.maxAge > 0 {
		return min(days, r.maxAge)
	}
	return days
}

// rotations reads logrotate.conf and what it includes.
func rotations(root Root) ([]rotation, error) {
	l := logrotate{root: root, seen: map[string]bool{}}
	defaults := rotation{days: 7} // weekly, when nothing says otherwise
	l.read("/etc/logrotate.conf", &defaults)
	if l.problem != nil {
		l.problem = fmt.Errorf("read how logs are rotated: %w", l.problem)
	}
	return l.found, l.problem
}

type logrotate struct {
	root    Root
	seen    map[string]bool
	found   []rotation
	problem error
}

func (l *logrotate) read(name string, defaults *rotation) {
	if l.seen[name] || len(l.seen) > filesLimit {
		return
	}
	l.seen[name] = true
	content, err := l.root.readIfThere(name)
	l.problem = errors.Join(l.problem, err)
	found, includes := parseLogrotate(content, defaults)
	l.found = append(l.found, found...)
	for _, include := range includes {
		l.include(include, *defaults)
	}
}

// include reads a file, or all of a directory but what logrotate passes over.
// What they set for all logs holds for the file itself only.
func (l *logrotate) include(target string, defaults rotation) {
	names, err := l.root.list(target)
	if err != nil { // not a directory
		l.read(target, &defaults)
		return
	}
	for _, name := range names {
		skipped := strings.HasPrefix(name, ".")
		for _, suffix := range []string{"~", ".dpkg-old", ".dpkg-dist", ".dpkg-new", ".dpkg-bak", ".disabled", ".bak", ".orig", ".rpmsave", ".swp", ".cfsaved", ",v"} {
			skipped = skipped || strings.HasSuffix(name, suffix)
		}
		if !skipped {
			own := defaults
			l.read(path.Join(target, name), &own)
		}
	}
}

// parseLogrotate reads "patterns { directives }" and directives for all that
// follow, which change defaults.
func parseLogrotate(content string, defaults *rotation) (found []rotation, includes []string) {
	var patterns []string
	var inside *rotation
	script := false
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		word, rest := cutFields(line, 1)
		switch {
		case script:
			script = word != "endscript"
		case line == "" || line[0] == '#':
		case line == "}":
			if inside != nil {
				found = append(found, *inside)
			}
			inside, patterns = nil, nil
		case inside != nil:
			script = strings.HasSuffix(word, "rotate") && word != "rotate" && word != "norotate" || word == "firstaction" || word == "lastaction" || word == "preremove"
			inside.set(word, rest)
		case word == "include":
			includes = append(includes, path.Clean(rest))
		case strings.HasPrefix(line, "/") || strings.HasPrefix(line, `"`) || strings.HasPrefix(line, "'") || line == "{":
			head, opened := strings.CutSuffix(line, "{")
			for _, pattern := range strings.Fields(head) {
				patterns = append(patterns, strings.Trim(pattern, `"'`))
			}
			if opened {
				block := *defaults
				block.patterns, inside = patterns, &block
			}
		default:
			defaults.set(word, rest)
		}
	}
	return found, includes
}

func (r *rotation) set(word, rest string) {
	value, _, _ := strings.Cut(strings.TrimLeft(rest, "= "), " ")
	number, err := strconv.Atoi(value)
	switch word {
	case "hourly", "daily", "size":
		r.days = 1
	case "weekly":
		r.days = 7
	case "monthly":
		r.days = 31
	case "yearly":
		r.days = 366
	case "rotate":
		if err == nil {
			r.count = min(max(number, 0), 1<<16)
		}
	case "maxage":
		if err == nil {
			r.maxAge = max(number, 0)
		}
	}
}

// rotateDays is how long a log is kept; 0 when nothing rotates it.
func rotateDays(all []rotation, log string) int {
	for _, r := range all {
		for _, pattern := range r.patterns {
			if matched, err := path.Match(pattern, log); err == nil && matched {
				return r.keeps()
			}
		}
	}
	return 0
}
