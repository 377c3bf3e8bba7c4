package host

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// logs looks at how the machine keeps what happened: the journal, what sends it
// away, and auditd. The files are those that Sample returns.
func logs(root Root, units map[string]facts.Unit) (facts.Logs, error) {
	var l facts.Logs
	settings, problem := journald(root)
	kept := root.exists("/var/log/journal")
	switch strings.ToLower(settings["storage"]) {
	case "persistent":
		l.Persistent = true
	case "volatile", "none":
	default: // auto
		l.Persistent = kept
	}
	if seconds, ok := timeSpan(settings["maxretentionsec"]); ok {
		l.MaxDays = (seconds + 86399) / 86400
	}
	l.Sealed = !slices.Contains([]string{"no", "false", "0", "off"}, strings.ToLower(settings["seal"])) && sealingKey(root)
	remote, err := rsyslogTargets(root)
	problem = errors.Join(problem, err)
	if units["rsyslog.service"].Active {
		l.Forwarded = append(l.Forwarded, remote...)
	}
	if target := settings["forwardtosocket"]; target != "" {
		l.Forwarded = append(l.Forwarded, "journald "+target)
	}
	for _, name := range slices.Sorted(maps.Keys(units)) {
		if agent := strings.TrimSuffix(name, ".service"); units[name].Active && slices.Contains(logAgents, agent) {
			l.Forwarded = append(l.Forwarded, strings.TrimPrefix(agent, "systemd-"))
		}
	}
	l.Auditd = units["auditd.service"].Active
	l.Audit, err = auditRules(root)
	return l, errors.Join(problem, err)
}

// logAgents are units that send logs to another machine.
var logAgents = []string{
	"alloy", "amazon-cloudwatch-agent", "elastic-agent", "filebeat", "fluent-bit", "fluentd", "google-cloud-ops-agent", "nxlog",
	"promtail", "splunkforwarder", "systemd-journal-upload", "td-agent", "vector", "wazuh-agent",
}

// journald reads the section Journal of journald.conf(5): the first main file,
// then the parts. Keys are in lower case.
func journald(root Root) (map[string]string, error) {
	settings := map[string]string{}
	var files []string
	for _, dir := range configDirs {
		if name := dir + "systemd/journald.conf"; root.exists(name) {
			files = append(files, name)
			break
		}
	}
	parts, problem := configParts(root, "systemd/journald.conf.d", ".conf")
	for _, name := range append(files, parts...) {
		content, err := root.readIfThere(name)
		problem = errors.Join(problem, err)
		maps.Copy(settings, unitSection(content, "Journal"))
	}
	if problem != nil {
		problem = fmt.Errorf("read the settings of the journal: %w", problem)
	}
	return settings, problem
}

// unitSection reads a section of a file of systemd (systemd.syntax(7)).
func unitSection(content, section string) map[string]string {
	settings := map[string]string{}
	inside := false
	for _, line := range logicalLines(content) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			inside = line == "["+section+"]"
		case inside:
			if key, value, assigned := strings.Cut(line, "="); assigned {
				settings[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
			}
		}
	}
	return settings
}

// sealingKey tells whether keys for sealing were made (journalctl --setup-keys).
func sealingKey(root Root) bool {
	machines, err := root.list("/var/log/journal")
	return err == nil && slices.ContainsFunc(machines, func(machine string) bool {
		return root.exists("/var/log/journal/" + machine + "/fss")
	})
}

var (
	rsyslogInclude = regexp.MustCompile(`^\$IncludeConfig\s+(\S+)|include\(\s*file="([^"]+)"`)
	rsyslogClassic = regexp.MustCompile(`^\s*[^#$\s][^@"{}]*[\s;](@@?)(?:\([^)]*\))?([^\s;@]+)`)
	rsyslogForward = regexp.MustCompile(`(?i)type="om(?:fwd|relp)"`)
	rsyslogTarget  = regexp.MustCompile(`(?i)\btarget="([^"]+)"`)
	rsyslogTCP     = regexp.MustCompile(`(?i)protocol="tcp"|type="omrelp"`)
)

// rsyslogTargets finds the machines that rsyslog sends to: "*.* @@host" and
// action(type="omfwd" target="host").
func rsyslogTargets(root Root) ([]string, error) {
	var found []string
	var problem error
	seen := map[string]bool{}
	var read func(name string)
	read = func(name string) {
		if seen[name] || len(seen) > filesLimit {
			return
		}
		seen[name] = true
		content, err := root.readIfThere(name)
		if err != nil {
			problem = errors.Join(problem, fmt.Errorf("read where logs are sent: %w", err))
		}
		targets, includes := parseRsyslog(content)
		found = append(found, targets...)
		for _, pattern := range includes {
			names, err := matching(root, pattern)
			problem = errors.Join(problem, err)
			for _, include := range names {
				read(include)
			}
		}
	}
	read("/etc/rsyslog.conf")
	return found, problem
}

func parseRsyslog(content string) (targets, includes []string) {
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if match := rsyslogInclude.FindStringSubmatch(line); match != nil {
			includes = append(includes, match[1]+match[2])
		} else if match := rsyslogClassic.FindStringSubmatch(line); match != nil {
			targets = append(targets, "rsyslog "+match[1]+match[2])
		}
	}
	// An action may be written over several lines.
	for action := range strings.SplitSeq(content, "action(") {
		action, _, _ = strings.Cut(action, ")")
		if match := rsyslogTarget.FindStringSubmatch(action); match != nil && rsyslogForward.MatchString(action) {
			at := "@"
			if rsyslogTCP.MatchString(action) {
				at = "@@"
			}
			targets = append(targets, "rsyslog "+at+match[1])
		}
	}
	return targets, includes
}

// matching lists the files of a pattern whose last part has wildcards; other
// parts may not.
func matching(root Root, pattern string) ([]string, error) {
	dir, last := path.Split(path.Clean(pattern))
	if !strings.ContainsAny(last, "*?[") {
		return []string{path.Clean(pattern)}, nil
	}
	names, err := root.list(path.Clean(dir))
	if err != nil {
		return nil, err
	}
	var found []string
	for _, name := range names {
		if matched, err := path.Match(last, name); err == nil && matched {
			found = append(found, dir+name)
		}
	}
	return found, nil
}

// privilege are subjects of audit rules that are about getting more rights.
var privilege = regexp.MustCompile(`sudo|/etc/(?:passwd|shadow|group|gshadow)|setuid|setgid|euid|/bin/su\b|privileged|user_emulation|/etc/pam|identity`)

// auditRules reads the rules that auditd loads (augenrules(8)).
func auditRules(root Root) ([]string, error) {
	names, err := matching(root, "/etc/audit/rules.d/*.rules")
	if err != nil {
		return nil, fmt.Errorf("read the rules of auditd: %w", err)
	}
	if len(names) == 0 {
		names = []string{"/etc/audit/audit.rules"}
	}
	var found []string
	for _, name := range names {
		content, err := root.readIfThere(name)
		if err != nil {
			return found, fmt.Errorf("read the rules of auditd: %w", err)
		}
		for line := range strings.Lines(content) {
			line = strings.TrimSpace(line)
			if (strings.HasPrefix(line, "-w") || strings.HasPrefix(line, "-a")) && privilege.MatchString(line) {
				found = append(found, line)
			}
		}
	}
	return found, nil
}
