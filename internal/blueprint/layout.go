package blueprint

import (
	"path"

	"rocca/internal/change"
	"rocca/internal/change/step"
	"rocca/internal/config"
	"rocca/internal/facts"
	"rocca/internal/front"
)

// Unix users, each with a group and a database account of the same name.
const (
	UIUser      = "matomo"         // the UI's pool and the timers
	TrackerUser = "matomo-tracker" // the tracker's pool
	AdminUser   = "matomo-admin"   // installation and migrations; nothing of it runs otherwise
	frontGroup  = "www-data"       // of nginx and Apache on Debian
)

// Layout is where everything of a server is.
type Layout struct {
	Base     string // /var/www/matomo
	Code     string // Base/www-matomo.VERSION, what the link points to
	Link     string // Base/www, what the front serves
	Scripts  string // Base/scripts: matomo.js and piwik.js, pre-compressed
	State    string // /var/lib/matomo: config, tmp, user, geoip
	Tracker  string // /var/lib/matomo-tracker: config, tmp
	Admin    string // /var/lib/matomo-admin: config, tmp
	Cron     string // /var/lib/matomo-cron: the tmp of the timers
	Record   string // what was verified of the release, by rocca
	FirstLog string // there while the first password has not been shown
}

// Files of rocca itself on a server.
const (
	etc        = "/etc/rocca"
	lib        = "/usr/local/lib/rocca"
	stateOwn   = "/var/lib/rocca"
	releases   = stateOwn + "/releases"
	unitDir    = "/etc/systemd/system"
	socketDir  = "/run/matomo"
	headlessAt = lib + "/headless.php"
)

// NewLayout derives the layout from the configuration and a Matomo version.
func NewLayout(c config.Config, version string) Layout {
	return Layout{
		Base:     c.Base,
		Code:     path.Join(c.Base, "www-matomo."+version),
		Link:     path.Join(c.Base, "www"),
		Scripts:  path.Join(c.Base, "scripts"),
		State:    c.State,
		Tracker:  c.State + "-tracker",
		Admin:    c.State + "-admin",
		Cron:     c.State + "-cron",
		Record:   path.Join(releases, version+".json"),
		FirstLog: path.Join(stateOwn, "first-login-not-shown"),
	}
}

// Socket is the FastCGI socket of a pool.
func Socket(pool string) string { return path.Join(socketDir, pool+".sock") }

// accounts are the Unix users and groups.
func (b *blueprint) accounts() []change.Step {
	var steps []change.Step
	names := []string{UIUser, TrackerUser, AdminUser}
	for _, app := range b.Config.Apps {
		names = append(names, app.Name)
	}
	for _, name := range names {
		steps = append(steps, step.Group{Group: name}, step.User{User: name})
	}
	return steps
}

// directories hold code and state. Whoever can write tmp runs code as its
// pool, because Matomo includes PHP from there: each pool has its own, 0700.
func (b *blueprint) directories() []change.Step {
	l := b.Layout
	own := func(user string, mode uint32) change.Attr { return change.Attr{Owner: user, Group: user, Mode: mode} }
	readBy := func(group string) change.Attr { return change.Attr{Owner: "root", Group: group, Mode: 0o750} }
	steps := []change.Step{
		step.Dir{Path: etc, Attr: change.Root(0o755)},
		step.Dir{Path: lib, Attr: change.Root(0o755)},
		step.Dir{Path: releases, Attr: change.Root(0o700)},
	}
	// Base may have parents of others, which stay as they are: Preflight refuses
	// those that anybody but root may write to.
	if parent := path.Dir(l.Base); parent == "/var/www" {
		steps = append(steps, missingDir{step.Dir{Path: parent, Attr: change.Root(0o755)}})
	}
	return append(steps,
		step.Dir{Path: l.Base, Attr: change.Root(0o755)},
		step.Dir{Path: l.State, Attr: change.Root(0o755)},
		step.Dir{Path: path.Join(l.State, "config"), Attr: readBy(UIUser)},
		step.Dir{Path: path.Join(l.State, "tmp"), Attr: own(UIUser, 0o700), Content: change.Cache},
		// Logos: written by the UI, read by the front through the set-group-id bit.
		step.Dir{Path: path.Join(l.State, "user"), Attr: change.Attr{Owner: UIUser, Group: frontGroup, Mode: 0o2750}, Content: change.Data},
		step.Dir{Path: path.Join(l.State, "geoip"), Attr: change.Root(0o755), Content: change.Data},
		step.Dir{Path: l.Tracker, Attr: change.Root(0o755)},
		step.Dir{Path: path.Join(l.Tracker, "config"), Attr: readBy(TrackerUser)},
		step.Dir{Path: path.Join(l.Tracker, "tmp"), Attr: own(TrackerUser, 0o700), Content: change.Cache},
		// The timers run as the UI's user and may start programs: what the UI's
		// pool writes must not be what they include.
		step.Dir{Path: l.Cron, Attr: readBy(UIUser)},
		step.Dir{Path: path.Join(l.Cron, "tmp"), Attr: own(UIUser, 0o700), Content: change.Cache},
		step.Dir{Path: l.Admin, Attr: change.Attr{Owner: "root", Group: AdminUser, Mode: 0o750}},
		step.Dir{Path: path.Join(l.Admin, "config"), Attr: own(AdminUser, 0o700), Content: change.Cache},
		step.Dir{Path: path.Join(l.Admin, "tmp"), Attr: own(AdminUser, 0o700), Content: change.Cache},
	)
}

// site is what the front is told.
func (b *blueprint) site() front.Site {
	l := b.Layout
	site := front.Site{
		ServerNames:      b.Config.Domain,
		Docroot:          l.Link,
		Certificate:      b.certificate(),
		Key:              b.key(),
		AdminNetworks:    b.Config.AdminNetworks,
		Proxies:          b.Config.Proxies,
		UserDir:          path.Join(l.State, "user"),
		PrecompressedDir: l.Scripts,
	}
	if b.Config.Does(config.RoleUI) {
		site.UISocket = Socket(config.RoleUI)
	}
	if b.Config.Does(config.RoleTracker) {
		site.TrackerSocket = Socket(config.RoleTracker)
	}
	for _, app := range b.Config.Apps {
		site.Apps = append(site.Apps, front.App{Name: app.Name, Domain: app.Domain, Docroot: app.Docroot, Socket: Socket(app.Name)})
	}
	return site
}

// missingDir makes a directory when there is none, and leaves one that is there
// as it is.
type missingDir struct{ step.Dir }

// Plan implements change.Step.
func (d missingDir) Plan(s facts.Server) (change.Proposal, error) {
	if s.Paths[d.Path].Type == facts.Dir {
		return change.Proposal{}, nil
	}
	return d.Dir.Plan(s)
}
