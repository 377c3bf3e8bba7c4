package host

import (
	"maps"
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// configured are paths that decide over the machine, on every Debian.
var configured = []string{
	"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/sudoers", "/etc/sudoers.d", "/etc/crontab", "/etc/anacrontab",
	"/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly", "/var/spool/cron/crontabs",
	"/etc/ssh", "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d", "/etc/pam.d", "/etc/ld.so.preload", "/etc/ld.so.conf.d", "/etc/profile.d",
	"/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/etc/apt/apt.conf.d", "/etc/apt/trusted.gpg.d", "/etc/nftables.conf",
	"/etc/sysctl.d", "/etc/logrotate.d", "/etc/rsyslog.d", "/etc/fail2ban", "/var/lib/dpkg", "/tmp", "/var/tmp", "/dev/shm",
	"/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin", "/usr/lib",
}

// Watched returns the paths whose owner, mode and parents controls ask for,
// sorted: what units and jobs start and read, sockets, logs, homes and keys.
func Watched(s facts.Server) []string {
	paths := map[string]bool{}
	add := func(names ...string) {
		for _, name := range names {
			if name = strings.TrimPrefix(name, "-"); strings.HasPrefix(name, "/") {
				paths[path.Clean(name)] = true
			}
		}
	}
	add(configured...)
	for _, unit := range s.Units {
		add(unit.Fragment, unit.Directory)
		add(unit.DropIns...)
		add(unit.EnvFiles...)
		add(unit.Streams...)
		for _, e := range unit.Exec {
			add(e.Path)
			for _, arg := range e.Args {
				add(programs(arg)...)
			}
		}
	}
	for _, job := range s.Jobs {
		add(job.File)
		add(job.Programs...)
	}
	for _, rule := range s.Sudo {
		add(rule.File)
		for _, command := range rule.Commands {
			program, _, _ := strings.Cut(command, " ")
			add(program)
		}
	}
	for _, user := range s.Users {
		if s := user.Home; s != "/nonexistent" {
			add(s, path.Join(s, ".ssh"), path.Join(s, ".ssh/authorized_keys"))
		}
		add(user.Shell)
	}
	for _, key := range s.SSH.Keys {
		add(key.File)
	}
	for _, names := range [][]string{s.SSH.Settings["hostkey"], s.SSH.Settings["authorizedkeyscommand"]} {
		for _, name := range names {
			program, _, _ := strings.Cut(name, " ")
			add(program)
		}
	}
	for _, socket := range s.Sockets {
		add(socket.Path)
	}
	for _, process := range s.Processes {
		add(process.Program)
	}
	for _, log := range s.Logs.Files {
		add(log.Path)
	}
	for _, source := range s.Apt.Sources {
		add(source.File, source.Signed)
	}
	for _, pin := range s.Apt.Pins {
		add(pin.File)
	}
	for _, setting := range s.Kernel.Settings {
		if file, _, found := strings.Cut(setting.From, ":"); found {
			add(file)
		}
	}
	return slices.Sorted(maps.Keys(paths))
}
