// Package blueprint says what a hardened Matomo server is, as an ordered list
// of steps. It holds no state and touches nothing: package change carries the
// steps out.
//
// The order is part of the design: the front, which is what the outside can
// reach, comes last, when Matomo is installed and its installer is closed.
package blueprint

import (
	"context"
	"fmt"
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

	// Remote is what was found out about a database server on another machine.
	Remote Remote

	// ForeignSchemas tells that the local database server serves others, who
	// may reach it by TCP.
	ForeignSchemas bool
}

// FirstLogin is the first account of Matomo, once it was made.
type FirstLogin struct {
	Login    string
	Password secret.Secret // zero when no account was made, or its password was shown before
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
		frontSteps,
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
	// The stock pool of Debian runs as www-data, which the front runs as too.
	return append(steps, step.Unit{Unit: "php" + b.PHP + "-fpm.service", State: step.Off})
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

// Preflight tells what would make the steps fail, before anything is changed.
func Preflight(in Input, s facts.Server) []error {
	var problems []error
	if s.FreeBytes < 1<<30 {
		problems = append(problems, fmt.Errorf("the disk has %d MiB free below /var, and a server needs 1024\nhint: df -h /var", s.FreeBytes>>20))
	}
	programs := map[string]string{config.FrontNginx: "nginx", config.FrontApache: "apache2"}
	for _, l := range s.Listeners {
		if (l.Port == 80 || l.Port == 443) && l.Program != programs[in.Config.Front] {
			name := l.Program
			if name == "" {
				name = "an unknown process"
			}
			problems = append(problems, fmt.Errorf("port %d is taken by %s (pid %d), and the front %s needs it\nhint: stop it, or choose its front with --front", l.Port, name, l.PID, in.Config.Front))
		}
	}
	return problems
}
