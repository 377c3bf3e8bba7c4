package php

import (
	"errors"
	"io/fs"
	"regexp"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/rooted"
)

var (
	loaded   = regexp.MustCompile(`(?mi)^\s*LoadModule\s+php\S*_module\s+\S*?libphp(\d+\.\d+)?\S*\.so`)
	exported = regexp.MustCompile(`(?m)^\s*(?:export\s+)?APACHE_RUN_(USER|GROUP)=["']?([^\s"']+)`)
	runsAs   = regexp.MustCompile(`(?mi)^\s*(User|Group)\s+([^\s$"']+)`)
)

// apache finds PHP inside of Apache (mod_php): every worker of Apache runs it.
func (s survey) apache(programs []facts.SAPI) ([]facts.Pool, error) {
	const unit, config = "apache2.service", "/etc/apache2/apache2.conf"
	files, err := s.root.Glob("/etc/apache2/mods-enabled/php*.load")
	if err != nil || len(files) == 0 || s.off(unit) || !s.root.Exists(config) {
		return nil, err
	}
	module, err := s.root.Read(files[0], fileLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	match := loaded.FindSubmatch(module)
	if match == nil {
		return nil, nil
	}
	p := facts.Pool{Name: "apache2", SAPI: "apache2", Branch: string(match[1]), File: files[0],
		Line: 1 + strings.Count(string(module[:strings.Index(string(module), strings.TrimSpace(string(match[0])))]), "\n"), Master: unit, MasterAs: "root"}
	for _, file := range []string{"/etc/apache2/envvars", config} {
		text, err := s.root.Read(file, fileLimit)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, given := range append(exported.FindAllSubmatch(text, -1), runsAs.FindAllSubmatch(text, -1)...) {
			if strings.EqualFold(string(given[1]), "user") {
				p.User = string(given[2])
			} else {
				p.Group = string(given[2])
			}
		}
	}
	for _, sapi := range programs {
		if sapi.Name == "apache2" && (p.Branch == "" || sapi.Branch == p.Branch) {
			p.Branch, p.Settings, p.Extensions = sapi.Branch, sapi.Settings, sapi.Extensions
		}
	}
	return []facts.Pool{p}, nil
}

// field looks up a line of a table such as passwd(5) by one of its fields and
// returns another.
func field(root rooted.Dir, table string, by int, value string, want int) string {
	content, err := root.Read(table, fileLimit)
	if err != nil {
		return ""
	}
	for line := range strings.SplitSeq(string(content), "\n") {
		fields := strings.Split(line, ":")
		if len(fields) > max(by, want) && fields[by] == value {
			return fields[want]
		}
	}
	return ""
}
