package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"rocca/internal/collect/app"
	"rocca/internal/collect/db"
	"rocca/internal/collect/files"
	"rocca/internal/collect/front"
	"rocca/internal/collect/host"
	"rocca/internal/collect/php"
	"rocca/internal/facts"
	"rocca/internal/secret"
)

// Audit is what an audit looks at.
type Audit struct {
	Matomo   string         // root of the installation; empty: the one that is found
	Declared facts.Declared // what the owner decided
	Own      *Own           // nil: rocca did not set up this server
	Unread   error          // why what rocca recorded of this server could not be read; nil: it was, or there is nothing
	Offline  bool           // no requests to the front
	Deep     bool           // also run Matomo's own diagnostics
	Lines    bool           // also count lines of code
	Rocca    facts.Rocca
}

// Own is what rocca knows of a server that it set up.
type Own struct {
	DataDirs   []app.DataDir
	Baseline   files.Baseline
	Unrecorded error             // why there is no baseline; nil: there is
	Known      map[string]string // SHA-256 of files that it wrote, by path
	Scripts    string            // directory of its copies of the tracker's script
	Legitimate []string          // files of its own that hold secrets
	Watched    []string          // further paths that controls ask for
}

// ErrSeveral tells that there is more than one Matomo to choose from.
type ErrSeveral struct{ Roots []string }

// Error lists the installations.
func (e ErrSeveral) Error() string {
	return fmt.Sprintf("choose a Matomo: this server has %d (%s)\nhint: name one with --matomo", len(e.Roots), strings.Join(e.Roots, ", "))
}

// Observe looks at the whole server. Each section that cannot be seen says why;
// the error is for what makes the rest meaningless.
//
// What is looked for elsewhere (secrets, paths) must be known first: Matomo
// with its configuration, then the machine and the database at once, then what
// runs Matomo, then all files, the front's answers and traces of use at once.
func (a Audit) Observe(ctx context.Context) (facts.Server, error) {
	configured := a.configured(ctx)
	matomo, secrets, err := a.findMatomo(ctx, configured)
	if err != nil {
		return facts.Server{}, err
	}
	var s, database, answers facts.Server
	asked := sync.WaitGroup{}
	asked.Go(func() { answers = a.ask(ctx, configured, matomo) })
	together(
		func() { s = host.Survey(ctx, host.Scope{Secrets: values(secrets.Held)}) },
		func() { database = a.database(ctx, matomo, secrets) },
	)
	s.Matomo, s.Database, s.Rows, s.Redis = matomo, database.Database, database.Rows, database.Redis
	s.Matomo.Schema = s.Rows.Options["version_core"]
	maps.Copy(s.Sections, database.Sections)
	s.Declared, s.Rocca = a.Declared, a.Rocca
	s.Sections[facts.Own] = facts.Why(a.Unread)
	a.runtime(ctx, &s)
	a.look(ctx, &s, secrets)
	asked.Wait()
	s.Answers, s.Handshakes = answers.Answers, answers.Handshakes
	maps.Copy(s.Sections, answers.Sections)
	return s, nil
}

// configured is the front and PHP as far as their files and units tell, which
// is enough to know what to ask for: pages take longer than all else.
func (a Audit) configured(ctx context.Context) facts.Server {
	s, err := host.Observe(ctx, facts.Query{Units: []string{"nginx.service", "apache2.service"}})
	if err != nil {
		s = facts.Server{} // without systemd the files have to do
	}
	s.Front, _, _ = front.Survey(ctx, "/", s)
	s.PHP, _ = php.Survey("/", nil, nil)
	return s
}

// together runs functions at the same time, and returns when all have.
func together(all ...func()) {
	var group sync.WaitGroup
	for _, f := range all {
		group.Go(f)
	}
	group.Wait()
}

// findMatomo looks for the installation and reads its settings. A server
// without one has the zero value.
func (a Audit) findMatomo(ctx context.Context, configured facts.Server) (facts.Matomo, app.Secrets, error) {
	var docroots []string
	for _, site := range configured.Front.Sites {
		docroots = append(docroots, site.Docroot)
	}
	roots := app.Find(ctx, docroots)
	root := a.Matomo
	switch {
	case root != "":
	case a.Own != nil:
		root = a.Rocca.Link
	case len(roots) == 0:
		return facts.Matomo{}, app.Secrets{}, nil
	case len(roots) > 1:
		return facts.Matomo{}, app.Secrets{}, ErrSeveral{roots}
	default:
		root = roots[0]
	}
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return facts.Matomo{}, app.Secrets{}, fmt.Errorf("look at Matomo in %s: %w\nhint: --matomo names its directory", root, err)
	}
	options := app.Options{LinesOfCode: a.Lines, Installed: a.Own != nil}
	options.Others = slices.DeleteFunc(roots, func(other string) bool { return other == real })
	if a.Own != nil {
		options.Data = a.Own.DataDirs
	}
	matomo, secrets, err := app.Survey(ctx, served(configured.Front, root, real), options)
	if err != nil && a.Matomo != "" {
		err = fmt.Errorf("%w\nhint: --matomo names the directory that holds Matomo's index.php", err)
	}
	return matomo, secrets, err
}

// served is the root as the front serves it, which may be a link.
func served(f facts.Front, root, real string) string {
	for _, site := range f.Sites {
		if site.Real == real {
			return site.Docroot
		}
	}
	return root
}

func values(held []app.Held) []secret.Secret {
	var all []secret.Secret
	for _, h := range held {
		all = append(all, h.Value)
	}
	return all
}

// database asks the database of Matomo, and what it uses beside it.
func (a Audit) database(ctx context.Context, m facts.Matomo, secrets app.Secrets) facts.Server {
	s := facts.Server{Sections: map[facts.Section]string{}}
	login := db.LoginOf(m.Main(), secrets.Database)
	failed := func(err error) facts.Server {
		s.Sections[facts.Data], s.Sections[facts.Content] = facts.Why(err), facts.Why(err)
		s.Database.Problem = facts.Why(err)
		return s
	}
	if m.Root == "" {
		return failed(errors.New("no Matomo was found"))
	}
	conn, err := db.Connect(ctx, login)
	if main := m.Main(); err != nil && len(main.Settings) == 0 {
		err = fmt.Errorf("log in to the database as Matomo does: %s", main.Problem)
	}
	if err != nil {
		return failed(err)
	}
	defer conn.Close()
	s.Database, s.Rows, err = db.Survey(ctx, conn, db.Options{Schema: login.Schema, Prefix: login.Prefix, Remote: login.Remote()})
	if !s.Database.Reached {
		return failed(cmp.Or(err, errors.New(s.Database.Problem)))
	}
	// What of the server was seen holds, even when the rows could not be read.
	s.Sections[facts.Data], s.Sections[facts.Content] = "", facts.Why(err)
	servers := db.QueueServers(s.Rows)
	if servers == nil {
		servers = map[string]secret.Secret{}
	}
	maps.Copy(servers, secrets.Redis)
	s.Redis = db.Redis(ctx, servers)
	return s
}

// runtime finds what runs Matomo: the front and PHP.
func (a Audit) runtime(ctx context.Context, s *facts.Server) {
	var err error
	s.Front, s.Certificates, err = front.Survey(ctx, "/", *s)
	s.Sections[facts.Web] = facts.Why(err)
	s.PHP, err = php.Survey("/", s.Units, s.Processes)
	s.Sections[facts.Runtime] = cmp.Or(facts.Why(err), s.Sections[facts.Services]) // units start pools
	if s.Matomo.Root == "" {
		return
	}
	front.MarkMatomo(&s.Front, &s.PHP, s.Matomo.Root)
	if a.Own != nil {
		return // its users are known
	}
	for i := range s.Matomo.Contexts {
		for _, pool := range s.MatomoPools() {
			s.Matomo.Contexts[i].User = pool.User
		}
	}
}

// look looks at everything for which all else must be known.
func (a Audit) look(ctx context.Context, s *facts.Server, secrets app.Secrets) {
	none := "no Matomo was found"
	if s.Matomo.Root != "" {
		none = ""
	}
	s.Sections[facts.App], s.Sections[facts.Code], s.Sections[facts.Extend], s.Sections[facts.Known] = none, none, none, none
	if main := s.Matomo.Main(); none == "" && len(main.Settings) == 0 {
		s.Sections[facts.App] = "read the settings of Matomo: " + main.Problem
	}
	logs := logFiles(*s)
	var seen files.Result
	var filesErr, logsErr, pluginsErr, adviseErr, diagnosisErr error
	var plugins map[string]facts.Plugin
	var advisory facts.Advisory
	var diagnosis *facts.Diagnosis
	together(
		func() { seen, filesErr = files.Survey(ctx, a.request(*s, secrets)) },
		func() { s.Logs.Files, logsErr = host.SampleLogs("/", logs) },
		func() {
			if none != "" {
				return
			}
			plugins, pluginsErr = app.Plugins(ctx, s.Matomo, app.Usage{Rows: s.Rows, RowsSeen: s.Unseen(facts.Content) == "",
				AccessLogs: accessLogs(logs), Now: s.Observed, Lines: a.Lines})
			advisory, adviseErr = app.Advise(s.Matomo)
			if a.Deep {
				var d facts.Diagnosis
				if d, diagnosisErr = app.Diagnose(ctx, s.Matomo); diagnosisErr == nil {
					diagnosis = &d
				}
			}
		},
	)
	s.Paths, s.Trees, s.Oddities, s.Integrity, s.SSH.PrivateKeys = seen.Paths, seen.Trees, seen.Oddities, seen.Integrity, seen.PrivateKeys
	s.Sections[facts.Files] = seen.Unseen
	if s.Sections[facts.Code] == "" {
		s.Sections[facts.Code] = seen.CodeUnseen
	}
	if err := a.uncompared(); err != nil {
		s.Sections[facts.Code] = facts.Why(err)
	}
	if filesErr != nil {
		s.Sections[facts.Files], s.Sections[facts.Code] = facts.Why(filesErr), facts.Why(filesErr)
	}
	s.Plugins, s.Advisory, s.Matomo.Diagnosis = plugins, advisory, diagnosis
	for section, err := range map[facts.Section]error{facts.Logging: logsErr, facts.Extend: pluginsErr, facts.Known: adviseErr, facts.App: diagnosisErr} {
		if err != nil && s.Sections[section] == "" {
			s.Sections[section] = facts.Why(err)
		}
	}
}

// uncompared tells why the code cannot be compared with what rocca recorded of
// it; nil: it can, or rocca recorded nothing. The manifest in the tree is no
// substitute, as whoever changed the tree may have changed it too.
func (a Audit) uncompared() error {
	if a.Own == nil {
		return a.Unread
	}
	return a.Own.Unrecorded
}

// accessLogs are the paths of those logs that tell of requests.
func accessLogs(logs []facts.LogFile) []string {
	var paths []string
	for _, log := range logs {
		if log.Kind == "access" {
			paths = append(paths, log.Path)
		}
	}
	return paths
}

// request says what to look at among files.
func (a Audit) request(s facts.Server, secrets app.Secrets) files.Request {
	r := files.Request{Code: s.Matomo.Real, Contexts: s.Matomo.Contexts, Watched: watched(s)}
	for _, held := range secrets.Held {
		r.Secrets = append(r.Secrets, files.Secret{Kind: held.Kind, Value: held.Value})
		r.Legitimate = append(r.Legitimate, held.Path)
	}
	for _, site := range s.Front.Sites {
		if site.Key != "" {
			r.Legitimate = append(r.Legitimate, site.Key)
		}
	}
	if a.Own != nil {
		r.Baseline, r.Known, r.Scripts = a.Own.Baseline, a.Own.Known, a.Own.Scripts
		r.Legitimate = append(r.Legitimate, a.Own.Legitimate...)
		r.Watched = append(r.Watched, a.Own.Watched...)
	}
	return r
}

// watched are the paths whose owner, mode and parents controls ask for.
func watched(s facts.Server) []string {
	paths := host.Watched(s)
	for schema := range s.Database.Schemas {
		paths = append(paths, filepath.Join(s.Database.DataDir, schema))
	}
	paths = append(paths, s.Matomo.Root, s.Matomo.Real, s.Matomo.Bootstrap, s.Front.Config, s.Database.DataDir)
	paths = append(paths, s.Front.Files...)
	for _, c := range s.Matomo.Contexts {
		paths = append(paths, c.Data, c.Config, filepath.Dir(c.Config), c.Tmp)
	}
	for _, pool := range s.PHP.Pools {
		paths = append(paths, pool.File, pool.Listen)
		for _, directive := range []string{"upload_tmp_dir", "sys_temp_dir", "session.save_path", "opcache.file_cache"} {
			paths = append(paths, pool.Value(directive, ""))
		}
	}
	for _, sapi := range s.PHP.SAPIs {
		paths = append(paths, sapi.Files...)
	}
	for _, site := range s.Front.Sites {
		paths = append(paths, site.Docroot, site.Real, site.Key, site.Chain)
	}
	for _, name := range []string{"socket", "datadir", "tmpdir", "log_error", "general_log_file", "slow_query_log_file", "plugin_dir"} {
		paths = append(paths, s.Database.Variables[name])
	}
	paths = append(paths, "/etc/mysql", "/etc/mysql/my.cnf", "/etc/mysql/mariadb.cnf", "/etc/mysql/mariadb.conf.d", "/etc/mysql/conf.d", "/var/log/mysql")
	for _, log := range logFiles(s) {
		paths = append(paths, log.Path)
	}
	return slices.DeleteFunc(paths, func(path string) bool { return !filepath.IsAbs(path) })
}

// ask makes requests to the front of this machine, and to those pages of
// tracked sites that the owner named.
func (a Audit) ask(ctx context.Context, s facts.Server, m facts.Matomo) facts.Server {
	asked := facts.Server{Sections: map[facts.Section]string{}}
	if a.Offline {
		asked.Sections[facts.Requests] = "no requests were to be made (--offline)"
		return asked
	}
	s.Matomo, s.Declared = m, a.Declared
	front.MarkMatomo(&s.Front, &s.PHP, m.Root)
	target, err := front.TargetOf(s)
	var pages map[string]facts.Answer
	together(
		func() {
			if err == nil {
				asked.Answers, asked.Handshakes, err = front.AskAll(ctx, target)
			}
		},
		func() { pages = front.AskPages(ctx, s.Declared.TrackedSites) },
	)
	if asked.Answers == nil {
		asked.Answers = map[string]facts.Answer{}
	}
	maps.Copy(asked.Answers, pages)
	asked.Sections[facts.Requests] = facts.Why(err)
	return asked
}
