// Package php observes how PHP is set: its programs, and the pools of workers
// that run scripts, as their files say. It only reads.
package php

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/rooted"
)

const (
	fileLimit    = 2 << 20  // of a configuration file, in bytes
	programLimit = 64 << 20 // of PHP itself
	includeLimit = 1000     // files that one master includes
)

// sapis are the programs of a branch, in Debian's places.
var sapis = []struct{ name, program string }{
	{"fpm", "/usr/sbin/php-fpm%s"},
	{"cli", "/usr/bin/php%s"},
	{"apache2", "/usr/lib/apache2/modules/libphp%s.so"},
	{"cgi", "/usr/bin/php-cgi%s"},
}

// Survey reads the settings of PHP's programs that are installed, and the pools
// that the machine would start: those of a unit that is masked are no pools
// unless it still runs. Units and processes may be nil when they are not known.
// Settings are as PHP reads them: On is "1", Off and None are "". What only
// counts in a part of the machine is "[PATH=/var/www] display_errors"; what
// the master itself is told is "global.error_log". Secrets are "[redacted]".
func Survey(root string, units map[string]facts.Unit, processes []facts.Process) (facts.PHP, error) {
	s := survey{root: rooted.Dir(root), units: units, processes: processes}
	var found facts.PHP
	for _, branch := range s.branches() {
		for _, kind := range sapis {
			sapi, installed, err := s.sapi(kind.name, branch, fmt.Sprintf(kind.program, branch))
			if err != nil {
				return found, err
			}
			if installed {
				found.SAPIs = append(found.SAPIs, sapi)
				found.Branch = branch
			}
		}
	}
	masters, err := s.masters()
	if err != nil {
		return found, err
	}
	for _, m := range masters {
		pools, err := s.pools(m)
		if err != nil {
			return found, err
		}
		found.Pools = append(found.Pools, pools...)
	}
	embedded, err := s.apache(found.SAPIs)
	if err != nil {
		return found, err
	}
	found.Pools = append(found.Pools, embedded...)
	return found, nil
}

var branchName = regexp.MustCompile(`^\d+\.\d+$`)

func compareBranches(a, b string) int {
	aMajor, aMinor := split(a)
	bMajor, bMinor := split(b)
	return cmp.Or(aMajor-bMajor, aMinor-bMinor)
}

func split(branch string) (major, minor int) {
	before, after, _ := strings.Cut(branch, ".")
	major, _ = strconv.Atoi(before)
	minor, _ = strconv.Atoi(after)
	return major, minor
}

type survey struct {
	root      rooted.Dir
	units     map[string]facts.Unit
	processes []facts.Process
}

// branches are those that have a configuration, the newest last.
func (s survey) branches() []string {
	found := slices.DeleteFunc(s.root.Names("/etc/php"), func(name string) bool { return !branchName.MatchString(name) })
	slices.SortStableFunc(found, compareBranches)
	return found
}

// sapi reads one program of PHP with the settings that it starts with.
// What is left of a package that was removed is no program.
func (s survey) sapi(name, branch, program string) (facts.SAPI, bool, error) {
	sapi := facts.SAPI{Name: name, Branch: branch}
	dir := "/etc/php/" + branch + "/" + name
	if !s.root.Exists(program) || !s.root.IsDir(dir) {
		return sapi, false, nil
	}
	var err error
	if sapi.Version, err = s.version(program); err != nil {
		return sapi, false, err
	}
	read, err := s.settings(branch, dir+"/php.ini", dir+"/conf.d", nil)
	if err != nil {
		return sapi, false, err
	}
	sapi.Files, sapi.Settings, sapi.Extensions = read.files, read.values, read.loaded()
	return sapi, true, nil
}

// version is what the program says of itself in each response (main/SAPI.h).
func (s survey) version(program string) (string, error) {
	content, err := s.root.Read(program, programLimit)
	if errors.Is(err, rooted.ErrTooLarge) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	const mark = "X-Powered-By: PHP/"
	at := bytes.Index(content, []byte(mark))
	if at < 0 {
		return "", nil
	}
	version, _, _ := bytes.Cut(content[at+len(mark):min(at+len(mark)+40, len(content))], []byte{0})
	number, _, _ := strings.Cut(strings.TrimSpace(string(version)), "-") // "8.2.29-1~deb12u1" of some packagers
	return number, nil
}

// settings are what a PHP reads before it runs a script.
type settings struct {
	files      []string
	values     map[string]facts.Setting
	extensions map[string]bool
}

// clone is a copy to which a pool can add its own.
func (s settings) clone() settings {
	return settings{files: s.files, values: maps.Clone(s.values), extensions: maps.Clone(s.extensions)}
}

func (s settings) loaded() []string { return slices.Sorted(maps.Keys(s.extensions)) }

// set takes over one directive. A later one wins, but what is switched off adds up.
func (s settings) set(name, value, from string, admin bool) {
	switch name {
	case "extension", "zend_extension":
		// "pdo_mysql", "pdo_mysql.so" and a full path are the same.
		module := strings.ToLower(strings.TrimSuffix(path.Base(value), ".so"))
		if value != "" {
			s.extensions[strings.TrimPrefix(module, "php_")] = true
		}
		return
	case "disable_functions", "disable_classes":
		// FPM adds those of a pool to those of php.ini.
		if before := s.values[name].Value; admin && before != "" && value != "" {
			value = before + "," + value
		}
	}
	s.values[name] = facts.Setting{Value: redact(name, value), From: from, Admin: admin}
}

// settings reads a php.ini and the directories that are scanned after it.
// Scan is as PHP_INI_SCAN_DIR: several are separated by colons.
func (s survey) settings(branch, ini, scan string, environment map[string]string) (settings, error) {
	read := settings{values: map[string]facts.Setting{}, extensions: map[string]bool{}}
	var files []string
	if ini != "" && s.root.Exists(ini) {
		files = append(files, ini)
	}
	for dir := range strings.SplitSeq(scan, ":") {
		for _, name := range s.root.Names(dir) {
			if dir != "" && strings.HasSuffix(name, ".ini") {
				files = append(files, path.Join(dir, name))
			}
		}
	}
	for _, file := range files {
		content, err := s.root.Read(file, fileLimit)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return read, fmt.Errorf("read the settings of PHP: %w", err)
		}
		read.files = append(read.files, file)
		for _, e := range parseINI(string(content), branch, read.variable(environment)) {
			from := fmt.Sprintf("%s:%d", file, e.line)
			if kind, _, special := strings.Cut(strings.ToUpper(e.section), "="); special && (kind == "PATH" || kind == "HOST") {
				name := "[" + e.section + "] " + e.key
				read.values[name] = facts.Setting{Value: redact(e.key, e.value), From: from}
				continue
			}
			read.set(e.key, e.value, from, false)
		}
	}
	return read, nil
}

// variable looks up ${NAME}: a setting, or a variable of the environment.
func (s settings) variable(environment map[string]string) func(string) string {
	return func(name string) string {
		if setting, set := s.values[name]; set {
			return setting.Value
		}
		return redact(name, environment[name])
	}
}

var (
	// secretName tells the names of settings and variables that hold a secret.
	secretName = regexp.MustCompile(`(?i)(passw|pass$|_pw$|pwd|secret|token|salt|credential|private|api_?key|access_?key|auth_?key|encryption_?key|dsn|database_url|redis_url)`)
	inAddress  = regexp.MustCompile(`(?i)(://[^/@\s:]*:)[^@\s]+(@)|(auth(?:\[\]|%5B%5D)?=)[^&\s"]+`)
)

const redacted = "[redacted]"

// redact takes what looks like a secret out of a value.
func redact(name, value string) string {
	if value == "" {
		return value
	}
	if secretName.MatchString(name) && !strings.HasPrefix(value, "/") && len(value) > 1 {
		return redacted
	}
	return inAddress.ReplaceAllString(value, "${1}${3}"+redacted+"${2}")
}
