package php

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
)

// directive is a line of a pool's configuration with its place.
type directive struct {
	entry
	file string
}

// poolFile reads a master's configuration with all that it includes, in the
// order in which FPM does. Files that include each other are read once.
func (s survey) poolFile(m master) ([]directive, error) {
	var all []directive
	section := "global"
	open := map[string]bool{} // now being read
	read := 0
	var take func(file string) error
	take = func(file string) error {
		if read++; read > includeLimit {
			return fmt.Errorf("read pools of PHP from %s: it includes more than %d files", m.config, includeLimit)
		}
		content, err := s.root.Read(file, fileLimit)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a link that leads nowhere
		}
		if err != nil {
			return fmt.Errorf("read pools of PHP: %w", err)
		}
		open[file] = true
		defer delete(open, file)
		variable := func(name string) string { return redact(name, m.environment[name]) }
		for _, e := range parseINI(string(content), m.branch, variable) {
			if e.section == "" {
				e.section = section // of the file that includes this one
			}
			if strings.EqualFold(e.section, "global") {
				e.section = "global"
			}
			section = e.section
			if e.key != "include" {
				all = append(all, directive{e, file})
				continue
			}
			pattern := e.value
			if !path.IsAbs(pattern) {
				pattern = path.Join("/usr", pattern) // the prefix that Debian builds PHP with
			}
			names, err := s.root.Glob(pattern)
			if err != nil {
				return fmt.Errorf("read pools of PHP: %s:%d: %w", file, e.line, err)
			}
			for _, name := range names {
				if open[name] || s.root.IsDir(name) {
					continue
				}
				if err := take(name); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return all, take(m.config)
}

// pools reads the pools of a master, in their order.
func (s survey) pools(m master) ([]facts.Pool, error) {
	directives, err := s.poolFile(m)
	if err != nil {
		return nil, err
	}
	var order []string
	for _, d := range directives {
		if d.section != "global" && !slices.Contains(order, d.section) {
			order = append(order, d.section)
		}
	}
	if len(order) == 0 {
		return nil, nil
	}
	base, err := m.settings(s)
	if err != nil {
		return nil, err
	}
	var pools []facts.Pool
	for _, name := range order {
		pools = append(pools, s.pool(m, name, directives, base.clone()))
	}
	return pools, nil
}

func (s survey) pool(m master, name string, directives []directive, read settings) facts.Pool {
	p := facts.Pool{Name: name, SAPI: "fpm", Branch: m.branch, Master: m.name, MasterAs: m.user, ClearEnv: true}
	set := map[string]string{} // its own directives
	for _, d := range directives {
		from := fmt.Sprintf("%s:%d", d.file, d.line)
		if d.section == "global" {
			read.values["global."+d.key] = facts.Setting{Value: d.value, From: from}
			continue
		}
		if d.section != name {
			continue
		}
		if p.File == "" {
			p.File, p.Line = d.file, max(d.head, 1)
		}
		value := strings.ReplaceAll(d.value, "$pool", name)
		kind, inner, indexed := strings.Cut(strings.TrimSuffix(d.key, "]"), "[")
		switch {
		case indexed && (kind == "php_value" || kind == "php_flag"):
			// A script's administrator value stays, whatever comes later.
			if !read.values[inner].Admin {
				read.set(inner, value, from, false)
			}
		case indexed && (kind == "php_admin_value" || kind == "php_admin_flag"):
			read.set(inner, value, from, true)
		case indexed && kind == "env":
			p.Env = append(p.Env, inner)
			if secretName.MatchString(inner) && value != "" {
				p.SecretEnv = append(p.SecretEnv, inner)
			}
			read.values[d.key] = facts.Setting{Value: redact(inner, value), From: from}
		default:
			set[d.key] = value
			read.values[d.key] = facts.Setting{Value: redact(d.key, value), From: from}
		}
	}
	p.Settings, p.Extensions = read.values, read.loaded()

	// A master that is not root cannot become anybody.
	p.User, p.Group = m.user, m.group
	if m.user == "root" {
		p.User = set["user"]
		p.Group = set["group"]
	}
	if p.Group == "" {
		p.Group = s.primaryGroup(p.User)
	}
	p.Listen = address(set["listen"])
	p.Clients = set["listen.allowed_clients"]
	p.Status, p.Ping = set["pm.status_path"], set["ping.path"]
	p.Workers, _ = strconv.Atoi(set["pm.max_children"])
	if value, given := set["clear_env"]; given {
		p.ClearEnv = value != "" && value != "0"
	}
	if strings.HasPrefix(p.Listen, "/") {
		s.door(&p, m, set)
	}
	return p
}

// door tells who may open the socket of a pool.
func (s survey) door(p *facts.Pool, m master, set map[string]string) {
	if unit, activated := s.socket(p.Listen); activated {
		p.Owner, p.OwnGroup, p.Mode = unit.SocketUser, unit.SocketGroup, mode(unit.SocketMode)
		if p.Owner == "" {
			p.Owner = "root"
		}
		if p.OwnGroup == "" {
			p.OwnGroup = s.primaryGroup(p.Owner)
		}
		if p.Mode == "" {
			p.Mode = "0666" // systemd.socket(5)
		}
		return
	}
	p.Owner, p.OwnGroup, p.Mode = set["listen.owner"], set["listen.group"], mode(set["listen.mode"])
	if p.Owner == "" {
		p.Owner = m.user
	}
	if p.OwnGroup == "" {
		p.OwnGroup = m.group
	}
	if p.OwnGroup == "" {
		p.OwnGroup = s.primaryGroup(m.user)
	}
	if p.Mode == "" {
		p.Mode = "0660"
	}
	var granted []string
	if users := set["listen.acl_users"]; users != "" {
		granted = append(granted, "users "+users)
	}
	if groups := set["listen.acl_groups"]; groups != "" {
		granted = append(granted, "groups "+groups)
	}
	p.ACL = strings.Join(granted, ", ")
}

// address writes where a pool listens in one way: a path, or address and port.
func address(listen string) string {
	listen = strings.TrimPrefix(listen, "unix:")
	if _, err := strconv.Atoi(listen); err == nil {
		return "[::]:" + listen // a port alone is all addresses of both families
	}
	if strings.HasPrefix(listen, "*:") {
		return "[::]:" + strings.TrimPrefix(listen, "*:")
	}
	if rest, old := strings.CutPrefix(listen, "/var/run/"); old {
		return "/run/" + rest
	}
	return listen
}

// mode writes "660" as "0660".
func mode(text string) string {
	number, err := strconv.ParseUint(text, 8, 12)
	if err != nil {
		return text
	}
	return fmt.Sprintf("%04o", number)
}

// primaryGroup looks up the group of a user, by name.
func (s survey) primaryGroup(user string) string {
	if user == "" {
		return ""
	}
	number := field(s.root, "/etc/passwd", 0, user, 3)
	if name := field(s.root, "/etc/group", 2, number, 0); name != "" {
		return name
	}
	return number
}
