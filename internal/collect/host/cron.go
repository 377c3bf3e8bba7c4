package host

import (
	"errors"
	"fmt"
	"iter"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
)

// jobs reads what cron starts (crontab(5), cron(8), anacrontab(5)).
func jobs(root Root) ([]facts.Job, error) {
	var all []facts.Job
	var problem error
	read := func(file, user string, parse func(content, file, user string) []facts.Job) {
		content, err := root.readIfThere(file)
		problem = errors.Join(problem, err)
		all = append(all, parse(content, file, user)...)
	}
	list := func(dir string) []string {
		names, err := root.list(dir)
		problem = errors.Join(problem, err)
		return names
	}
	read("/etc/crontab", "", parseCrontab)
	for _, name := range list("/etc/cron.d") {
		if runParts.MatchString(name) {
			read("/etc/cron.d/"+name, "", parseCrontab)
		}
	}
	const spool = "/var/spool/cron/crontabs"
	for _, user := range list(spool) {
		if !strings.HasPrefix(user, "tmp.") {
			read(path.Join(spool, user), user, parseCrontab)
		}
	}
	read("/etc/anacrontab", "root", parseAnacrontab)
	for _, when := range []string{"hourly", "daily", "weekly", "monthly"} {
		dir := "/etc/cron." + when
		for _, name := range list(dir) {
			file := path.Join(dir, name)
			stat, err := root.stat(file)
			if err == nil && runParts.MatchString(name) && stat.Mode&unix.S_IFMT == unix.S_IFREG && stat.Mode&0o111 != 0 {
				all = append(all, facts.Job{File: file, User: "root", When: when, Command: file, Programs: []string{file}})
			}
		}
	}
	if problem != nil {
		problem = fmt.Errorf("read the jobs of cron: %w", problem)
	}
	return all, problem
}

// runParts are the names that run-parts(8) and Debian's cron take.
var runParts = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

var (
	cronVariable = regexp.MustCompile(`^\s*["']?[A-Za-z_]\w*["']?\s*=`)
	cronNickname = regexp.MustCompile(`^@\w+$`)
)

// cronLines are the lines of a crontab that start something, with their numbers.
func cronLines(content string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		number := 0
		for line := range strings.Lines(content) {
			number++
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' || cronVariable.MatchString(line) {
				continue
			}
			if !yield(number, line) {
				return
			}
		}
	}
}

// parseCrontab reads a crontab. Lines of a system crontab name the user; user
// is "" for those.
func parseCrontab(content, file, user string) []facts.Job {
	var all []facts.Job
	for number, line := range cronLines(content) {
		count := 5
		if first, _, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " "); cronNickname.MatchString(first) {
			count = 1
		}
		when, rest := cutFields(line, count)
		as := user
		if as == "" {
			as, rest = cutFields(rest, 1)
		}
		if rest != "" {
			all = append(all, job(file, number, as, when, rest))
		}
	}
	return all
}

// parseAnacrontab reads "period delay identifier command".
func parseAnacrontab(content, file, user string) []facts.Job {
	var all []facts.Job
	for number, line := range cronLines(content) {
		period, rest := cutFields(line, 1)
		if _, command := cutFields(rest, 2); command != "" {
			if !strings.HasPrefix(period, "@") {
				period = "every " + period + " days"
			}
			all = append(all, job(file, number, user, period, command))
		}
	}
	return all
}

// cutFields splits off the first fields, joined with one space.
func cutFields(line string, count int) (fields, rest string) {
	var taken []string
	rest = strings.TrimSpace(line)
	for range count {
		at := strings.IndexAny(rest, " \t")
		if at < 0 {
			return strings.Join(append(taken, rest), " "), ""
		}
		taken = append(taken, rest[:at])
		rest = strings.TrimLeft(rest[at:], " \t")
	}
	return strings.Join(taken, " "), rest
}

func job(file string, line int, user, when, command string) facts.Job {
	// An unescaped % ends the command; what follows is its input.
	if at := unescapedPercent(command); at >= 0 {
		command = command[:at]
	}
	command = strings.TrimSpace(strings.ReplaceAll(command, `\%`, "%"))
	return facts.Job{File: file, Line: line, User: user, When: when, Command: redact(command), Programs: programs(command)}
}

func unescapedPercent(command string) int {
	for i := 0; i < len(command); i++ {
		switch command[i] {
		case '\\':
			i++
		case '%':
			return i
		}
	}
	return -1
}

var absolutePath = regexp.MustCompile(`(?:^|[\s"'=;&|(<>` + "`" + `!])(/[^\s"';&|()<>$*?` + "`" + `]+)`)

var onlyTested = regexp.MustCompile(`(?:\btest|\[)\s+(?:!\s+)?-[a-zA-Z]\s+$`)

// programs are the absolute paths in a shell command, in order. Devices, and
// files that are only written to or tested for, are no programs.
func programs(command string) []string {
	var found []string
	for _, match := range absolutePath.FindAllStringSubmatchIndex(command, -1) {
		name := strings.TrimRight(command[match[2]:match[3]], ",:")
		written := strings.HasSuffix(strings.TrimRight(command[:match[2]], " \t"), ">")
		tested := onlyTested.MatchString(command[:match[2]])
		if !written && !tested && !strings.HasPrefix(name, "/dev/") && !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	return found
}
