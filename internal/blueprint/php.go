package blueprint

import (
	"bytes"
	_ "embed"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"text/template"

	"rocca/internal/change"
	"rocca/internal/change/step"
	"rocca/internal/config"
)

//go:embed php/service.tmpl
var serviceTemplate string

//go:embed php/role.tmpl
var roleTemplate string

//go:embed php/socket.tmpl
var socketTemplate string

//go:embed php/ini.tmpl
var iniTemplate string

//go:embed php/pool.tmpl
var poolTemplate string

// role is one kind of work that PHP does, with the least it needs for it: a
// master of its own, running as its own user from the start.
type role struct {
	Name     string // also of its units: rocca-php@NAME
	User     string
	Data     string         // MATOMO_DATA
	Writable []string       // directories it may write
	Hidden   []string       // directories that are not there for it
	Lean     bool           // only the extensions that Matomo uses
	Tmp      string         // for uploads, sessions and temporary files
	Network  bool           // may open Internet sockets
	Reach    []netip.Prefix // of the Internet; empty: all of it but cloud metadata
	JIT      bool           // memory that is written and then executed: the regular expression compiler
	Uploads  bool
	Disabled []string // functions of PHP
	Children int      // most worker processes
}

// extensions are those that Matomo uses, in the order in which they must be
// loaded. Debian loads all that are installed, FFI among them: native code for
// whoever can change a setting.
var extensions = []string{"mysqlnd", "pdo", "pdo_mysql", "mysqli", "xml", "dom", "simplexml", "xmlreader", "xmlwriter", "ctype",
	"curl", "fileinfo", "gd", "iconv", "intl", "mbstring", "posix", "tokenizer", "zip"}

func extensionsINI() []byte {
	text := []byte("; Written by rocca: all that Matomo's pools and timers load, instead of all that is installed.\nzend_extension = opcache\n")
	for _, name := range extensions {
		text = fmt.Appendf(text, "extension = %s\n", name)
	}
	return text
}

// Functions that start programs or make links: no page of Matomo needs them.
var startsPrograms = []string{"exec", "passthru", "shell_exec", "system", "proc_open", "popen", "pcntl_exec", "pcntl_fork",
	"dl", "link", "symlink", "posix_kill", "putenv", "show_source", "highlight_file", "phpinfo"}

// Functions that recording a visit does not need either. tempnam, error_log,
// chmod and rename must stay: the cache and the error path use them.
var unusedByTracker = []string{"mail", "mb_send_mail", "curl_exec", "curl_multi_exec", "fsockopen", "pfsockopen",
	"stream_socket_server", "socket_create", "ftp_connect", "proc_nice", "pcntl_signal", "posix_setuid", "php_uname", "getmyuid",
	"opcache_get_status", "opcache_compile_file", "chown", "chgrp", "disk_total_space", "get_current_user", "syslog", "readlink"}

// roles lists the pools: the UI, the tracker, and one for each further app.
func (b *blueprint) roles() []role {
	l := b.Layout
	remote := b.Config.Database.Remote()
	pools := []role{
		{
			Name: config.RoleUI, User: UIUser, Data: l.State, Network: true, Uploads: true, Children: 8,
			Writable: []string{path.Join(l.State, "tmp"), path.Join(l.State, "user")},
			Hidden:   []string{l.Tracker, l.Admin, l.Cron}, Tmp: path.Join(l.State, "tmp"), Lean: true,
			Disabled: startsPrograms,
		},
		{
			// No network at all (the database is a socket in the file system),
			// and the compiler of regular expressions stays on: without it
			// recording is 13 to 31 % slower.
			Name: config.RoleTracker, User: TrackerUser, Data: l.Tracker, Network: remote, Reach: b.Remote.Networks, JIT: true, Children: 8,
			Writable: []string{path.Join(l.Tracker, "tmp")},
			Hidden:   []string{l.State, l.Admin, l.Cron}, Tmp: path.Join(l.Tracker, "tmp"), Lean: true,
			Disabled: append(append([]string{}, startsPrograms...), unusedByTracker...),
		},
	}
	roles := slices.DeleteFunc(pools, func(r role) bool { return !b.Config.Does(r.Name) })
	matomo := len(roles)
	for _, app := range b.Config.Apps {
		r := role{
			Name: app.Name, User: app.Name, Network: true, Uploads: true, JIT: true, Children: 5,
			Writable: []string{appTmp(app.Name)}, Tmp: appTmp(app.Name),
			// Its own socket is handed over: it needs none of the directory.
			Hidden: []string{l.State, l.Tracker, l.Admin, l.Cron, l.Base, socketDir, "/var/lib/mysql"}, Disabled: startsPrograms,
		}
		for i := range roles[:matomo] {
			roles[i].Hidden = append(roles[i].Hidden, app.Docroot)
		}
		for _, other := range b.Config.Apps {
			if other.Name != app.Name {
				r.Hidden = append(r.Hidden, other.Docroot, path.Dir(appTmp(other.Name)))
			}
		}
		roles = append(roles, r)
	}
	return roles
}

// appRoots are the directories of the other applications.
func (b *blueprint) appRoots() []string {
	var roots []string
	for _, app := range b.Config.Apps {
		roots = append(roots, app.Docroot)
	}
	return roots
}

func appTmp(name string) string { return "/var/lib/rocca-apps/" + name + "/tmp" }

// php are the pools, each with its ini, pool file, socket and service.
func (b *blueprint) php() []change.Step {
	steps := []change.Step{step.Dir{Path: path.Join(etc, "php"), Attr: change.Root(0o755)}}
	if b.Config.Database.Remote() {
		steps = append(steps, step.File{Path: databaseCA, Content: b.Remote.CA, Attr: change.Root(0o644)})
	}
	if len(b.Config.Apps) > 0 {
		steps = append(steps, step.Dir{Path: "/var/lib/rocca-apps", Attr: change.Root(0o755)})
	}
	for _, app := range b.Config.Apps {
		steps = append(steps,
			step.Dir{Path: path.Dir(appTmp(app.Name)), Attr: change.Root(0o755)},
			step.Dir{Path: appTmp(app.Name), Attr: change.Attr{Owner: app.Name, Group: app.Name, Mode: 0o700}, Content: change.Cache})
	}
	service := path.Join(unitDir, "rocca-php@.service")
	socket := path.Join(unitDir, "rocca-php@.socket")
	steps = append(steps,
		step.File{Path: service, Content: b.render(serviceTemplate, nil), Attr: change.Root(0o644)},
		step.File{Path: socket, Content: b.render(socketTemplate, nil), Attr: change.Root(0o644)},
		step.Dir{Path: path.Join(etc, "php/extensions"), Attr: change.Root(0o755), Only: []string{"extensions.ini"}},
		step.File{Path: path.Join(etc, "php/extensions/extensions.ini"), Content: extensionsINI(), Attr: change.Root(0o644)},
		step.File{Path: path.Join(etc, "php/cron.ini"), Content: b.render(iniTemplate, role{Name: "cron", Tmp: path.Join(b.Layout.State, "tmp"), Network: true}), Attr: change.Root(0o644)},
	)
	for _, r := range b.roles() {
		steps = append(steps, b.pool(r, service, socket)...)
	}
	return steps
}

// poolFiles are the files of one pool.
func poolFiles(name string) (dropDir, drop, ini, conf string) {
	dropDir = path.Join(unitDir, "rocca-php@"+name+".service.d")
	return dropDir, path.Join(dropDir, "role.conf"), path.Join(etc, "php", name+".ini"), path.Join(etc, "php", name+".conf")
}

func (b *blueprint) pool(r role, service, socket string) []change.Step {
	unit := "rocca-php@" + r.Name
	dropDir, drop, ini, conf := poolFiles(r.Name)
	bootstrap := path.Join(b.Layout.Code, "bootstrap.php")
	loaded := path.Join(etc, "php/extensions/extensions.ini")
	return []change.Step{
		step.File{Path: ini, Content: b.render(iniTemplate, r), Attr: change.Root(0o644)},
		step.File{Path: conf, Content: b.render(poolTemplate, r), Attr: change.Root(0o644)},
		step.Dir{Path: dropDir, Attr: change.Root(0o755), Only: []string{"role.conf"}},
		step.File{Path: drop, Content: b.render(roleTemplate, r), Attr: change.Root(0o644)},
		step.Unit{Unit: unit + ".socket", State: step.Running, Own: true, Inputs: []string{socket}, Refresh: "restart"},
		// A socket that is restarted stops its service: the service comes after.
		step.Unit{Unit: unit + ".service", State: step.Running, Own: true, DropIns: []string{drop},
			Inputs: []string{service, drop, ini, conf, bootstrap, loaded}, Refresh: "restart"},
	}
}

// joinNetworks writes networks as units want them.
func joinNetworks(networks []netip.Prefix) string {
	var words []string
	for _, n := range networks {
		words = append(words, n.String())
	}
	return strings.Join(words, " ")
}

// render fills a template with a role. The templates are part of the program,
// so one that does not fit is a bug, not an error.
func (b *blueprint) render(text string, r any) []byte {
	functions := template.FuncMap{
		"join":      strings.Join,
		"networks":  joinNetworks,
		"php":       func() string { return b.PHP },
		"link":      func() string { return b.Layout.Link },
		"cron":      func() string { return b.Layout.Cron },
		"appRoots":  b.appRoots,
		"state":     func() string { return b.Layout.State },
		"tracker":   func() string { return b.Layout.Tracker },
		"admin":     func() string { return b.Layout.Admin },
		"socketDir": func() string { return socketDir },
		"timezone":  func() string { return "UTC" },
		"ui":        func() string { return UIUser },

		"sshRules":      b.sshRules,
		"openPorts":     b.openPorts,
		"outboundRules": b.outboundRules,
		"matomoUsers":   matomoUsers,
		"phpUsers":      b.phpUsers,
		"sshKeys":       func() bool { return b.Config.Hardening.SSHKeys },
	}
	parsed := template.Must(template.New("").Funcs(functions).Parse(text))
	var out bytes.Buffer
	if err := parsed.Execute(&out, r); err != nil {
		panic(fmt.Sprintf("render a template of the blueprint: %v", err))
	}
	return out.Bytes()
}
