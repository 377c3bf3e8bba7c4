package php

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// master is a PHP-FPM that starts workers.
type master struct {
	name        string // unit, or the configuration when no unit starts it
	branch      string
	user, group string // that it runs as
	config      string
	ini         string   // file; empty: none is read
	scan        string   // as PHP_INI_SCAN_DIR
	defines     []string // "key=value" of its command line, which win over files
	environment map[string]string
}

var (
	program = regexp.MustCompile(`^php-fpm(\d+\.\d+)?$`)
	title   = regexp.MustCompile(`^php-fpm: master process \(([^)]+)\)`)
)

// masters finds those that units start, those that Debian's files describe, and
// those that run although neither does.
func (s survey) masters() ([]master, error) {
	var found []master
	seen := map[string]bool{} // configurations that somebody has answered for
	for _, name := range slices.Sorted(maps.Keys(s.units)) {
		unit := s.units[name]
		for _, exec := range unit.Exec {
			match := program.FindStringSubmatch(path.Base(exec.Path))
			if match == nil || exec.When != "ExecStart" || strings.Contains(name, "@.") {
				continue
			}
			m := s.started(name, unit, exec, match[1])
			// systemd also knows units whose file is gone.
			if alive := unit.Loaded && !unit.Masked || unit.Active; alive && s.root.Exists(m.config) {
				found = append(found, m)
			}
			seen[m.config] = true
		}
	}
	configs, err := s.root.Glob("/etc/php/*/fpm/php-fpm.conf")
	if err != nil {
		return nil, err
	}
	for _, config := range configs {
		branch := strings.Split(config, "/")[3]
		unit := "php" + branch + "-fpm.service"
		if seen[config] || !s.root.Exists("/usr/sbin/php-fpm"+branch) || s.off(unit) {
			continue
		}
		m := stock(branch)
		m.name = unit
		found, seen[config] = append(found, m), true
	}
	for _, process := range s.processes {
		match := title.FindStringSubmatch(process.Title)
		if match == nil || seen[match[1]] || !s.root.Exists(match[1]) {
			continue
		}
		m := stock(s.branchOf(process.Program))
		m.name, m.config, m.user, m.group = match[1], match[1], process.User, process.Group
		found, seen[m.config] = append(found, m), true
	}
	return found, nil
}

// off tells whether a stock unit is known not to start. One that runs all the
// same is found by its process.
func (s survey) off(name string) bool {
	if unit, known := s.units[name]; known {
		return (unit.Masked || !unit.Loaded) && !unit.Active
	}
	target, err := s.root.Resolve("/etc/systemd/system/" + name)
	return err == nil && target == "/dev/null"
}

// stock is a master as Debian sets it up.
func stock(branch string) master {
	dir := "/etc/php/" + branch + "/fpm"
	return master{branch: branch, user: "root", group: "root", config: dir + "/php-fpm.conf", ini: dir + "/php.ini", scan: dir + "/conf.d"}
}

// branchOf finds the branch of a program from its name, or else the newest
// that is installed.
func (s survey) branchOf(name string) string {
	if match := program.FindStringSubmatch(path.Base(name)); match != nil && match[1] != "" {
		return match[1]
	}
	branches := slices.DeleteFunc(s.branches(), func(branch string) bool { return !s.root.IsDir("/etc/php/" + branch + "/fpm") })
	if len(branches) == 0 {
		return ""
	}
	return branches[len(branches)-1]
}

// started reads the command line of a unit (php-fpm(8)).
func (s survey) started(name string, unit facts.Unit, exec facts.Exec, branch string) master {
	if branch == "" {
		real, err := s.root.Resolve(exec.Path) // by the link of Debian's alternatives
		if err != nil {
			real = ""
		}
		branch = s.branchOf(real)
	}
	m := stock(branch)
	m.name, m.environment = name, s.environment(name, unit)
	if unit.User != "" && !exec.Root {
		m.user, m.group = unit.User, unit.Group
	}
	if scan, set := m.environment["PHP_INI_SCAN_DIR"]; set {
		parts := strings.Split(scan, ":")
		for i, part := range parts {
			if part == "" {
				parts[i] = m.scan // an empty place stands for the built-in directory
			}
		}
		m.scan = strings.Join(parts, ":")
	}
	if place, set := m.environment["PHPRC"]; set && place != "" {
		m.ini = s.iniAt(place)
	}
	specifiers := specifiersOf(name)
	args := slices.Clone(exec.Args)
	for i := range args {
		args[i] = specifiers.Replace(args[i])
	}
	for i := 0; i < len(args); i++ {
		option, value, joined := args[i], "", false
		if strings.HasPrefix(option, "--") {
			option, value, joined = strings.Cut(option, "=")
		} else if len(option) > 2 && option[0] == '-' {
			option, value, joined = option[:2], strings.TrimPrefix(option[2:], "="), true
		}
		takesValue := slices.Contains([]string{"-y", "--fpm-config", "-c", "--php-ini", "-d", "--define", "-p", "--prefix", "-g", "--pid"}, option)
		if takesValue && !joined && i+1 < len(args) {
			i++
			value = args[i]
		}
		switch option {
		case "-y", "--fpm-config":
			m.config = value
		case "-c", "--php-ini":
			m.ini = s.iniAt(value)
		case "-n", "--no-php-ini":
			m.ini, m.scan = "", ""
		case "-d", "--define":
			m.defines = append(m.defines, value)
		}
	}
	return m
}

// iniAt finds the php.ini that a file or directory stands for.
func (s survey) iniAt(place string) string {
	if !s.root.IsDir(place) {
		return place
	}
	for _, name := range []string{"php-fpm-fcgi.ini", "php.ini"} {
		if file := path.Join(place, name); s.root.Exists(file) {
			return file
		}
	}
	return ""
}

// settings are what workers of a master start with.
func (m master) settings(s survey) (settings, error) {
	read, err := s.settings(m.branch, m.ini, m.scan, m.environment)
	if err != nil {
		return read, err
	}
	for _, define := range m.defines {
		for _, e := range parseINI(define, m.branch, read.variable(m.environment)) {
			if !strings.Contains(define, "=") {
				e.value = "1"
			}
			read.set(e.key, e.value, fmt.Sprintf("%s: -d %s", m.name, e.key), false)
		}
	}
	return read, nil
}
