package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/run"
)

// bans lists what shuts out addresses after failures.
func bans(ctx context.Context, root Root, ssh facts.SSH, units map[string]facts.Unit) ([]facts.Ban, error) {
	all, problem := fail2ban(ctx, root, units["fail2ban.service"].Active)
	for _, other := range []string{"crowdsec", "sshguard"} {
		active := units[other+".service"].Active
		if other == "crowdsec" { // it decides; a bouncer shuts out
			bouncer := false
			for name, unit := range units {
				bouncer = bouncer || strings.HasPrefix(name, "crowdsec-") && strings.Contains(name, "bouncer") && unit.Active
			}
			active = active && bouncer
		}
		if _, known := units[other+".service"]; known {
			all = append(all, facts.Ban{Program: other, Jail: "sshd", Active: active})
		}
	}
	if penalties := strings.Join(ssh.Settings["persourcepenalties"], " "); penalties != "" && penalties != "no" {
		all = append(all, sourcePenalties(penalties, ssh.Running))
	}
	return all, problem
}

// sourcePenalties reads sshd's own: "crash:90 authfail:5 ... min:15". Penalties
// add up, and refuse connections from the minimum on (sshd_config(5)).
func sourcePenalties(penalties string, running bool) facts.Ban {
	ban := facts.Ban{Program: "sshd", Jail: "sshd", Active: running}
	seconds := map[string]int{}
	for _, field := range strings.Fields(penalties) {
		name, value, _ := strings.Cut(field, ":")
		if n, ok := fail2banSeconds(value); ok {
			seconds[name] = n
		}
	}
	ban.Seconds = max(seconds["min"], seconds["authfail"])
	if failed := seconds["authfail"]; failed > 0 {
		ban.Tries = max(1, (seconds["min"]+failed-1)/failed)
	} else {
		ban.Active = false
	}
	return ban
}

// jails are the sections of fail2ban's configuration.
type jails map[string]map[string]string

// fail2ban reads the jails that are enabled, and asks for the addresses that
// are shut out when it runs.
func fail2ban(ctx context.Context, root Root, active bool) ([]facts.Ban, error) {
	const dir = "/etc/fail2ban/"
	if !root.exists(dir + "jail.conf") {
		return nil, nil
	}
	parts, problem := root.list(dir + "jail.d")
	files := []string{"jail.conf"}
	for _, suffix := range []string{".conf", ".local"} {
		if suffix == ".local" {
			files = append(files, "jail.local")
		}
		for _, name := range parts {
			if strings.HasSuffix(name, suffix) {
				files = append(files, "jail.d/"+name)
			}
		}
	}
	all := jails{}
	for _, name := range files {
		content, err := root.readIfThere(dir + name)
		problem = errors.Join(problem, err)
		all.parse(content)
	}
	var found []facts.Ban
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if ban, enabled := all.ban(name); enabled {
			ban.Active = active
			found = append(found, ban)
		}
	}
	if active && root.live() {
		for i, ban := range found {
			result, err := run.Do(ctx, run.Command{Argv: []string{"fail2ban-client", "status", ban.Jail}})
			if err != nil { // enabled, and yet not there
				found[i].Active = false
				continue
			}
			found[i].Banned = currentlyBanned(string(result.Stdout))
		}
	}
	if problem != nil {
		problem = fmt.Errorf("read the jails of fail2ban: %w", problem)
	}
	return found, problem
}

// parse adds a file: sections, "key = value", and values that go on in
// indented lines.
func (j jails) parse(content string) {
	var section, key string
	for line := range strings.Lines(content) {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
		case trimmed[0] == '[' && strings.HasSuffix(trimmed, "]") && line[0] == '[':
			section, key = trimmed[1:len(trimmed)-1], ""
			if j[section] == nil {
				j[section] = map[string]string{}
			}
		case line[0] == ' ' || line[0] == '\t':
			if section != "" && key != "" && len(j[section][key]) < lineLimit {
				j[section][key] += "\n" + trimmed
			}
		default:
			name, value, assigned := strings.Cut(trimmed, "=")
			key = strings.ToLower(strings.TrimSpace(name))
			if section != "" && assigned {
				value, _, _ = strings.Cut(value, " #")
				value, _, _ = strings.Cut(value, " ;")
				j[section][key] = strings.TrimSpace(value)
			}
		}
	}
}

var interpolation = regexp.MustCompile(`%\((\w+)\)s`)

// value looks a key up in a jail, then in DEFAULT, with %(key)s filled in.
func (j jails) value(jail, key string) string {
	value := j.raw(jail, key)
	for range 8 { // a key that names itself does not end by itself
		if !strings.Contains(value, "%(") || len(value) > lineLimit {
			return value
		}
		value = interpolation.ReplaceAllStringFunc(value, func(match string) string {
			return j.raw(jail, interpolation.FindStringSubmatch(match)[1])
		})
	}
	return value
}

func (j jails) raw(jail, key string) string {
	if key == "__name__" {
		return jail
	}
	if value, set := j[jail][key]; set {
		return value
	}
	return j["DEFAULT"][key]
}

func (j jails) ban(jail string) (facts.Ban, bool) {
	enabled := slices.Contains([]string{"true", "yes", "on", "1"}, strings.ToLower(j.value(jail, "enabled")))
	if !enabled || jail == "DEFAULT" || jail == "INCLUDES" {
		return facts.Ban{}, false
	}
	ban := facts.Ban{Program: "fail2ban", Jail: jail}
	ban.Tries, _ = strconv.Atoi(j.value(jail, "maxretry"))
	if ban.Seconds, _ = fail2banSeconds(j.value(jail, "bantime")); ban.Seconds < 0 {
		ban.Seconds = -1
	}
	return ban, true
}

var (
	duration     = regexp.MustCompile(`^(?:\d{1,9}(?:\.\d+)?[a-zA-Z]*\s*)+$`)
	durationPart = regexp.MustCompile(`(\d{1,9}(?:\.\d+)?)([a-zA-Z]*)`)
)

// secondsIn are the units of time of fail2ban (jail.conf(5)), sshd and systemd
// (systemd.time(7)).
var secondsIn = map[string]float64{
	"": 1, "s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "minute": 60, "minutes": 60, "mi": 60,
	"h": 3600, "hr": 3600, "ho": 3600, "hour": 3600, "hours": 3600, "d": 86400, "da": 86400, "day": 86400, "days": 86400,
	"w": 604800, "we": 604800, "week": 604800, "weeks": 604800, "mo": 2629746, "M": 2629746, "month": 2629746, "months": 2629746,
	"y": 31556952, "ye": 31556952, "year": 31556952, "years": 31556952,
}

// fail2banSeconds reads "600", "10m", "1h 30m" or a negative number.
func fail2banSeconds(text string) (int, bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	if strings.HasPrefix(text, "-") {
		return -1, true
	}
	return timeSpan(text)
}

// timeSpan reads a sum of numbers with units, in seconds.
func timeSpan(text string) (int, bool) {
	if !duration.MatchString(text) {
		return 0, false
	}
	var sum float64
	for _, part := range durationPart.FindAllStringSubmatch(text, -1) {
		number, err := strconv.ParseFloat(part[1], 64)
		unit, known := secondsIn[part[2]]
		if err != nil || !known {
			return 0, false
		}
		sum += number * unit
	}
	return int(min(sum, 1<<40)), true
}

var currently = regexp.MustCompile(`Currently banned:\s*(\d{1,9})`)

func currentlyBanned(status string) int {
	match := currently.FindStringSubmatch(status)
	if match == nil {
		return 0
	}
	count, _ := strconv.Atoi(match[1])
	return count
}
