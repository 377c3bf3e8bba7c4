// Package blueprint says what a hardened Matomo server is, as an ordered list
// of steps. It changes nothing itself: package change carries the steps out.
//
// The order is part of the design: the front, which is what the outside can
// reach, comes last, when Matomo is installed and its installer is closed. After
// it only that is stopped which it no longer leads to.
package blueprint

import (
	"context"
	"fmt"
	"path"
	"slices"

	"rocca/internal/change"
	"rocca/internal/change/step"
	"rocca/internal/config"
	"rocca/internal/facts"
	"rocca/internal/front"
	"rocca/internal/matomo/release"
	"rocca/internal/secret"
)

// Input is what the steps are derived from.
type Input struct {
	Config  config.Config
	Debian  int    // 12 or 13
	PHP     string // branch, such as "8.2"
	Version string // of Matomo

	// Release opens the release, verified. It is called only when files of it
	// are needed: an unchanged server needs none.
	Release func(context.Context) (*release.Release, error)

	// Passwords of the accounts on a remote database server, by user. Local
	// accounts have none.
	Passwords map[string]secret.Secret

	// Slot is the one that these accounts are in.
	Slot Slot

	// Secrets are those that were given. The passwords of their accounts are
	// among Passwords.
	Secrets Secrets

	// Remote is what was found out about a database server on another machine.
	Remote Remote

	// Installed tells that rocca was at work on this server before: what it
	// finds there under its names is its own.
	Installed bool

	// SSH is the SSH server of the machine.
	SSH SSH

	// Program is rocca itself, which its timer starts.
	Program Program

	// ForeignSchemas tells that the local database server serves others, who
	// may reach it by TCP.
	ForeignSchemas bool
}

// FirstLogin is the first account of Matomo, once it was made.
type FirstLogin struct {
	Login    string
	Password secret.Secret // zero when no account was made, or its password is known
}

type blueprint struct {
	Input
	Layout Layout
	login  *FirstLogin
}

// Steps lists all steps of a server, in order. The login is filled in when the
// steps are applied and an account was made.
func Steps(in Input) ([]change.Step, *FirstLogin, error) {
	if in.PHP == "" {
		return nil, nil, fmt.Errorf("find a branch of PHP: neither installed nor in apt's package lists\nhint: apt-get update")
	}
	b := &blueprint{Input: in, Layout: NewLayout(in.Config, in.Version), login: &FirstLogin{Login: in.Config.Superuser.Login}}
	frontSteps, err := b.front()
	if err != nil {
		return nil, nil, err
	}
	var steps []change.Step
	for _, part := range [][]change.Step{
		b.packages(),
		b.accounts(),
		b.directories(),
		b.code(),
		b.database(),
		b.php(),
		b.application(),
		b.timers(),
		b.platform(),
		b.firewall(),
		frontSteps,
		b.idle(),
	} {
		steps = append(steps, part...)
	}
	return steps, b.login, nil
}

// packages come in two steps, so that undo can leave the database server in
// place while it holds data.
func (b *blueprint) packages() []change.Step {
	var steps []change.Step
	if !b.Config.Database.Remote() {
		steps = append(steps, step.Packages{Title: "database server", Packages: []string{"mariadb-server"}})
	}
	steps = append(steps, step.Packages{Title: "front and PHP", Packages: Packages(b.Config.Front, b.PHP, b.Debian)})
	if more := b.platformPackages(); len(more) > 0 {
		steps = append(steps, step.Packages{Title: "platform", Packages: more})
	}
	return append(steps, step.Unit{Unit: stockPool(b.Input), State: step.Off})
}

// PlatformPackages are what hardening: with everything on installs beside the
// others.
func PlatformPackages() []string {
	all := blueprint{Input: Input{Config: config.Config{Hardening: config.Hardening{Firewall: true, Kernel: true, Upgrades: true}}}}
	return all.platformPackages()
}

// Packages lists the Debian packages of a front with a branch of PHP, without
// the database server.
func Packages(server, php string, debian int) []string {
	packages := slices.Clone(front.NginxPackages())
	if server == config.FrontApache {
		packages = slices.Clone(front.ApachePackages(front.Platform{Debian: debian}))
	}
	for _, part := range []string{"fpm", "cli", "mysql", "xml", "mbstring", "gd", "curl", "zip", "intl"} {
		packages = append(packages, "php"+php+"-"+part)
	}
	return packages
}

// PreflightLooks says what Preflight must see.
func PreflightLooks(in Input) facts.Query {
	return facts.Query{
		Listeners: true, Units: []string{stockPool(in)},
		Paths: slices.Concat(ancestors(in.Config.Base), ancestors(in.Config.State)),
	}
}

// stockPool is Debian's own PHP-FPM. It runs as www-data, which the front runs
// as too, and has to be off.
func stockPool(in Input) string { return "php" + in.PHP + "-fpm.service" }

// ancestors lists the directories above a path, but not the root.
func ancestors(name string) []string {
	var above []string
	for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
		above = append(above, dir)
	}
	return above
}

// Preflight tells what would make the steps fail, or take from others what they
// use, before anything is changed.
func Preflight(in Input, s facts.Server) []error {
	var problems []error
	for _, dir := range slices.Concat(ancestors(in.Config.Base), ancestors(in.Config.State)) {
		// Whoever may write to a directory above can put another in the place of
		// what is in it.
		if now := s.Paths[dir]; now.Exists() && (now.Owner != "root" || now.Mode&0o022 != 0 || len(now.Xattrs) > 0) {
			problems = append(problems, fmt.Errorf("%s (%s:%s %04o) lies above Matomo's files, and others than root may write to it\nhint: chown root: %s && chmod go-w %[1]s, or choose another place (base:, state:)", dir, now.Owner, now.Group, uint32(now.Mode), dir))
		}
	}
	if !in.Installed && s.Units[stockPool(in)].Active {
		problems = append(problems, fmt.Errorf("%s runs, and rocca would stop it: what it serves may be in use, as the same user as the front\nhint: give its applications pools of their own (apps: in the configuration), then: systemctl disable --now %[1]s", stockPool(in)))
	}
	if cut := closes(in, s); len(cut) > 0 {
		problems = append(problems, closed(cut))
	}
	if s.FreeBytes < 1<<30 {
		problems = append(problems, fmt.Errorf("the disk has %d MiB free below /var, and a server needs 1024\nhint: df -h /var", s.FreeBytes>>20))
	}
	told := map[int]bool{}
	programs := map[string]string{config.FrontNginx: "nginx", config.FrontApache: "apache2"}
	for _, l := range s.Listeners {
		if (l.Port == 80 || l.Port == 443) && l.Program != programs[in.Config.Front] {
			name := l.Program
			if name == "" {
				name = "an unknown process"
			}
			if told[l.PID] {
				continue // once for a program, whatever the ports and addresses
			}
			told[l.PID] = true
			problems = append(problems, fmt.Errorf("port %d is taken by %s (pid %d), and the front %s needs it\nhint: stop it, or choose its front with --front", l.Port, name, l.PID, in.Config.Front))
		}
	}
	return problems
}
