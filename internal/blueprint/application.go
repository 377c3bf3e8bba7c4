package blueprint

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"rocca/internal/change"
	"rocca/internal/change/step"
	"rocca/internal/facts"
	"rocca/internal/mariadb"
	"rocca/internal/matomo/headless"
	"rocca/internal/matomo/ini"
	"rocca/internal/run"
	"rocca/internal/secret"
)

// passwordLength of the first login, in characters: 139 bits.
const passwordLength = 24

// application installs Matomo and writes its configuration. Before it nothing
// listens that could show an installer, and the configuration that it leaves
// has the installer closed.
func (b *blueprint) application() []change.Step {
	steps := []change.Step{
		b.underConfig(b.Layout.State, UIUser),
		b.underConfig(b.Layout.Tracker, TrackerUser),
		install{b},
		b.account(UIUser, b.uiGrants()),
		b.account(TrackerUser, b.trackerGrants()),
	}
	steps = append(steps, b.trackerOptions()...)
	steps = append(steps,
		configFile{b, b.Layout.State, UIUser},
		configFile{b, b.Layout.Tracker, TrackerUser},
		step.File{Path: path.Join(b.Layout.State, "config/config.php"), Content: b.overrides(), Attr: change.Attr{Owner: "root", Group: UIUser, Mode: 0o640}},
		step.File{Path: path.Join(b.Layout.Tracker, "config/config.php"), Content: b.overrides(), Attr: change.Attr{Owner: "root", Group: TrackerUser, Mode: 0o640}},
	)
	if b.Secrets.Superuser.IsZero() {
		steps = append(steps, newPassword{b})
	}
	return steps
}

// overrides lets Matomo find the location database outside of the release.
func (b *blueprint) overrides() []byte {
	return fmt.Appendf(nil, "<?php\n// Written by rocca.\nreturn ['path.geoip2' => '%s/'];\n", path.Join(b.Layout.State, "geoip"))
}

// webDoors, all closed, would let code, settings or logins in by the web.
var webDoors = []string{
	"enable_installer", "0", "enable_auto_update", "0", "enable_plugin_upload", "0", "enable_plugins_admin", "0",
	"enable_general_settings_admin", "0", "enable_geolocation_admin", "0", "login_allow_logme", "0",
}

// underConfig is what Matomo reads under config.ini.php, also when that is
// missing, empty or cut short: then the installer would be open by default.
func (b *blueprint) underConfig(data, user string) change.Step {
	lines := []string{"; <?php exit; ?> DO NOT REMOVE THIS LINE", "; Written by rocca. It holds where config.ini.php says nothing, or is missing.", "[General]"}
	for setting := range slices.Chunk(webDoors, 2) {
		lines = append(lines, setting[0]+" = "+setting[1])
	}
	return step.File{
		Path: path.Join(data, "config/common.config.ini.php"), Content: []byte(strings.Join(lines, "\n") + "\n"),
		Attr: change.Attr{Owner: "root", Group: user, Mode: 0o640},
	}
}

func configPath(data string) string { return path.Join(data, "config/config.ini.php") }

// install runs Matomo's own installation classes as the migration user, with
// no web server. It knows nothing of networks and starts no program.
type install struct{ *blueprint }

func (i install) Name() string { return "install Matomo " + i.Version }

func (i install) Looks() facts.Query {
	return facts.Query{Schemas: true, Paths: i.configs()}
}

// configs are the files that may hold the salt of this installation.
func (b *blueprint) configs() []string {
	return []string{configPath(b.Layout.State), configPath(b.Layout.Tracker), configPath(b.Layout.Admin)}
}

func (i install) Plan(s facts.Server) (change.Proposal, error) {
	d := i.Config.Database
	tables := s.Database.Schemas[d.Name]
	others := slices.IndexFunc(tables, func(table string) bool { return !strings.HasPrefix(table, d.Prefix) })
	ours := slices.ContainsFunc(i.configs(), func(path string) bool { return saltOf(s.Paths[path]) != "" })
	given := !i.Secrets.Salt.IsZero()
	switch {
	case !ours && others >= 0:
		return change.Proposal{}, fmt.Errorf("the schema %s holds tables that rocca did not make (%s, ...)\nhint: choose another one (database: name: in the configuration)", d.Name, tables[others])
	case !ours && len(tables) > 0 && !given:
		return change.Proposal{}, fmt.Errorf("the schema %s holds a Matomo that was not installed from this machine (%s, ...)\nhint: to run that Matomo here too, name a file with its salt, which is in [General] of its config.ini.php (secrets: in the configuration); else choose another schema (database: name:)", d.Name, tables[0])
	case !s.Database.Reached && hasPlugins(s.Paths[configPath(i.Layout.State)]) && hasPlugins(s.Paths[configPath(i.Layout.Tracker)]):
		return change.Proposal{}, nil // installed, as far as can be seen without the database server
	case !i.hasUsers(s):
		return change.Proposal{Sentence: "make its tables, first login and site, with no web server"}, nil
	case !ours:
		return change.Proposal{Sentence: "take up the Matomo that the database holds"}, nil
	case !hasPlugins(s.Paths[configPath(i.Layout.State)]) || !hasPlugins(s.Paths[configPath(i.Layout.Tracker)]):
		return change.Proposal{Sentence: "finish the installation: its configuration is missing"}, nil
	}
	return change.Proposal{}, nil
}

// hasUsers tells whether the database holds a Matomo.
func (i install) hasUsers(s facts.Server) bool {
	return slices.Contains(s.Database.Schemas[i.Config.Database.Name], i.Config.Database.Prefix+"user")
}

// hasPlugins tells whether a configuration is one of a finished installation.
func hasPlugins(p facts.Path) bool {
	parsed, err := ini.Parse(p.Content)
	return err == nil && len(parsed.List("PluginsInstalled", "PluginsInstalled")) > 0
}

func (i install) Apply(ctx context.Context, w *change.Writer, s facts.Server) error {
	salt := i.findSalt(s)
	content, err := i.adminConfig(salt)
	if err != nil {
		return err
	}
	adminFile := change.Attr{Owner: AdminUser, Group: AdminUser, Mode: 0o600}
	if err := w.WriteFileOf(change.Cache, configPath(i.Layout.Admin), content, adminFile); err != nil {
		return err
	}
	password := i.Secrets.Superuser
	if password.IsZero() {
		password = secret.Random(passwordLength)
	}
	// The logins of a Matomo that is taken up keep their passwords.
	if i.Secrets.Superuser.IsZero() && (i.Secrets.Salt.IsZero() || !i.hasUsers(s)) {
		if err := w.WriteFile(i.Layout.FirstLog, []byte(i.Config.Superuser.Login+"\n"), change.Root(0o600)); err != nil {
			return err
		}
	}
	var answer headless.Answer
	err = w.Action("run Matomo's installation", func() error {
		answer, err = i.headless(ctx, headless.Request{
			Action: headless.Install, Root: i.Layout.Code, URL: i.Config.URL(), MaskedIPBytes: 2,
			Superuser: headless.Superuser{Login: i.Config.Superuser.Login, Password: password, Email: i.Config.Superuser.Email, Language: i.Config.Language},
			Site:      headless.Site{Name: i.Config.Site.Name, URL: i.Config.Site.URL, Timezone: i.Config.Site.Timezone, Currency: i.Config.Site.Currency},
		})
		return err
	})
	if err != nil {
		return err
	}
	if !answer.Installed() {
		return fmt.Errorf("install Matomo: it ended without %s", strings.Join(answer.Missing, ", "))
	}
	if answer.Changed(headless.StepSuperuser) && i.Secrets.Superuser.IsZero() {
		i.login.Password = password
	}
	for _, pool := range []configFile{{i.blueprint, i.Layout.State, UIUser}, {i.blueprint, i.Layout.Tracker, TrackerUser}} {
		content, err := pool.first(salt, answer)
		if err != nil {
			return err
		}
		// It stays with kept data: the salt in it makes tokens and links valid.
		if err := w.WriteFileOf(change.Data, configPath(pool.data), content, pool.attr()); err != nil {
			return err
		}
	}
	return nil
}

// trustedHosts are the names that Matomo answers to, as browsers send them:
// with a port that is not the usual one.
func (b *blueprint) trustedHosts() []string {
	hosts := slices.Clone(b.Config.Domain)
	if b.Config.Port != 443 {
		for _, name := range b.Config.Domain {
			hosts = append(hosts, fmt.Sprintf("%s:%d", name, b.Config.Port))
		}
	}
	return hosts
}

// adminConfig is what the installation and migrations run with.
func (b *blueprint) adminConfig(salt string) ([]byte, error) {
	var f ini.File
	b.managed(&f, AdminUser)
	f.Set("General", "salt", salt)
	f.Set("General", "installation_in_progress", "1")
	return f.Encode()
}

// findSalt takes the salt that was given, or that of an earlier, unfinished
// installation, or makes one: tokens are stored as hashes with it.
func (b *blueprint) findSalt(s facts.Server) string {
	if !b.Secrets.Salt.IsZero() {
		return b.Secrets.Salt.Reveal()
	}
	for _, path := range b.configs() {
		if salt := saltOf(s.Paths[path]); salt != "" {
			return salt
		}
	}
	return NewSalt().Reveal()
}

// NewSalt makes a salt in the form of Matomo's own.
func NewSalt() secret.Secret {
	random := make([]byte, 16)
	rand.Read(random)
	return secret.New(hex.EncodeToString(random))
}

func saltOf(configuration facts.Path) string {
	parsed, err := ini.Parse(configuration.Content)
	if err != nil {
		return ""
	}
	salt, _ := parsed.Get("General", "salt")
	return salt
}

// headlessUnit is what the installation script runs as.
const headlessUnit = "rocca-headless.service"

// stopHeadless ends the script that a killed rocca left running: it would work
// on the same tables.
func stopHeadless(ctx context.Context) error {
	_, err := run.Do(ctx, run.Command{Argv: []string{"systemctl", "stop", headlessUnit}})
	const notLoaded = 5 // see systemctl(1)
	var failed *run.Error
	if errors.As(err, &failed) && failed.ExitCode == notLoaded {
		return nil
	}
	return err
}

// headless runs the installation script in a sandbox of its own.
func (b *blueprint) headless(ctx context.Context, r headless.Request) (headless.Answer, error) {
	request, err := r.Encode()
	if err != nil {
		return headless.Answer{}, err
	}
	if err := stopHeadless(ctx); err != nil {
		return headless.Answer{}, err
	}
	argv := []string{"systemd-run", "--unit=" + headlessUnit, "--quiet", "--pipe", "--wait", "--collect"}
	for _, property := range b.headlessSandbox() {
		argv = append(argv, "-p", property)
	}
	argv = append(argv, "--setenv=MATOMO_DATA="+b.Layout.Admin, "--", "/usr/bin/php"+b.PHP, "-d", "pcre.jit=0", "-d", "memory_limit=512M", headlessAt)
	result, err := run.Do(ctx, run.Command{Argv: argv, Stdin: bytes.NewReader(request)})
	if len(result.Stdout) == 0 && err != nil {
		return headless.Answer{}, err
	}
	answer, decodeErr := headless.Decode(bytes.NewReader(result.Stdout))
	if decodeErr != nil {
		return answer, fmt.Errorf("%w\n%s", decodeErr, bytes.TrimSpace(result.Stderr))
	}
	return answer, err
}

func (b *blueprint) headlessSandbox() []string {
	properties := []string{
		"User=" + AdminUser, "Group=" + AdminUser, "NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict",
		"ReadWritePaths=" + path.Join(b.Layout.Admin, "config") + " " + path.Join(b.Layout.Admin, "tmp"),
		"InaccessiblePaths=-/root -/home", "PrivateTmp=yes", "PrivateDevices=yes", "PrivateUsers=yes",
		"ProtectKernelTunables=yes", "ProtectKernelModules=yes", "ProtectControlGroups=yes", "RestrictNamespaces=yes",
		"RestrictSUIDSGID=yes", "LockPersonality=yes", "SystemCallArchitectures=native", "SystemCallFilter=@system-service", "UMask=0077",
	}
	if !b.Config.Database.Remote() {
		return append(properties, "PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX")
	}
	properties = append(properties, "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6")
	if len(b.Remote.Networks) > 0 {
		properties = append(properties, "IPAddressDeny=any", "IPAddressAllow="+joinNetworks(b.Remote.Networks))
	}
	return properties
}

// configFile is config.ini.php of one pool. rocca is its only writer: what it
// manages is brought back, what the owner added beside that stays.
type configFile struct {
	*blueprint
	data string
	user string
}

func (c configFile) Name() string { return "file " + configPath(c.data) }

func (c configFile) Looks() facts.Query { return facts.Query{Paths: []string{configPath(c.data)}} }

func (c configFile) attr() change.Attr {
	return change.Attr{Owner: "root", Group: c.user, Mode: 0o640}
}

// first is the configuration right after the installation.
func (c configFile) first(salt string, answer headless.Answer) ([]byte, error) {
	var f ini.File
	c.managed(&f, c.user)
	f.Set("General", "salt", salt)
	active := slices.DeleteFunc(slices.Clone(answer.PluginsActivated), func(name string) bool { return slices.Contains(pluginsOff, name) })
	f.SetList("Plugins", "Plugins", active)
	f.SetList("PluginsInstalled", "PluginsInstalled", answer.PluginsInstalled)
	return f.Encode()
}

// want is the configuration as it is, with what rocca manages set right.
func (c configFile) want(now facts.Path) ([]byte, error) {
	f, err := ini.Parse(now.Content)
	if err != nil {
		return nil, fmt.Errorf("%w\nhint: restore the file from a backup, or move it away and run rocca up again", err)
	}
	c.managed(&f, c.user)
	return f.Encode()
}

func (c configFile) Plan(s facts.Server) (change.Proposal, error) {
	now := s.Paths[configPath(c.data)]
	if !now.Exists() {
		return change.Proposal{Sentence: "write it: installer closed, updates and uploads by the web off, one name to answer to"}, nil
	}
	content, err := c.want(now)
	if err != nil {
		return change.Proposal{}, err
	}
	proposal := step.PlanFile(now, step.File{Path: configPath(c.data), Content: content, Attr: c.attr(), Secret: true})
	proposal.Diff = changedSettings(now.Content, content)
	return proposal, nil
}

// changedSettings shows the settings that would have another value, which are
// only such as rocca decides: how the owner's own are written is nobody's news.
func changedSettings(before, after []byte) string {
	old, err := ini.Parse(before)
	if err != nil {
		return ""
	}
	wanted, err := ini.Parse(after)
	if err != nil {
		return ""
	}
	var lines []string
	for _, section := range wanted.Sections {
		for _, setting := range section.Settings {
			value, _ := wanted.Get(section.Name, setting.Key)
			was, _ := old.Get(section.Name, setting.Key)
			list, wasList := wanted.List(section.Name, setting.Key), old.List(section.Name, setting.Key)
			if value == was && slices.Equal(list, wasList) {
				continue
			}
			if len(list) > 0 {
				value = strings.Join(list, ", ")
			}
			if setting.Key == "salt" || setting.Key == "password" {
				value = secret.New(value).String()
			}
			lines = append(lines, fmt.Sprintf("+[%s] %s = %s", section.Name, setting.Key, value))
		}
	}
	return strings.Join(lines, "\n")
}

func (c configFile) Apply(_ context.Context, w *change.Writer, s facts.Server) error {
	content, err := c.want(s.Paths[configPath(c.data)])
	if err != nil {
		return err
	}
	return w.WriteFile(configPath(c.data), content, c.attr())
}

// pluginsOff promote, or reach out to others, and nothing else needs them.
var pluginsOff = []string{"Feedback", "Marketplace", "MobileMessaging", "ProfessionalServices", "RssWidget", "SEO", "Tour"}

// managed sets what rocca decides. Sources: Matomo's config/global.ini.php for
// what each key does; the reasons are in docs/layout.md.
func (b *blueprint) managed(f *ini.File, user string) {
	d := b.Config.Database
	set := func(section string, pairs ...string) {
		for pair := range slices.Chunk(pairs, 2) {
			f.Set(section, pair[0], pair[1])
		}
	}
	login := user
	if d.Remote() {
		login = b.Slot.Login(user)
	}
	set("database", "username", login, "dbname", d.Name, "tables_prefix", d.Prefix, "adapter", `PDO\MYSQL`, "type", "InnoDB",
		"schema", b.databaseKind(), "charset", "utf8mb4", "collation", "utf8mb4_general_ci")
	if d.Remote() {
		set("database", "host", d.Host, "port", fmt.Sprint(d.Port), "password", b.Passwords[user].Reveal(),
			"unix_socket", "", "enable_ssl", "1", "ssl_ca", databaseCA, "ssl_no_verify", "")
	} else {
		// The socket tells the server which Unix user asks: there is no password.
		set("database", "host", "localhost", "unix_socket", mariadb.Socket, "password", "")
	}
	if d.Network.IsValid() {
		set("General", "multi_server_environment", "1")
	}
	if !b.Secrets.Salt.IsZero() {
		set("General", "salt", b.Secrets.Salt.Reveal())
	}
	f.SetList("General", "trusted_hosts", b.trustedHosts())
	set("General", webDoors...)
	set("General",
		"enable_trusted_host_check", "1", "force_ssl", "1", "default_language", b.Config.Language,
		"enable_browser_archiving_triggering", "0", "enable_load_data_infile", "0",
		// Browsers, sessions, tokens
		"csp_enabled", "1", "csp_report_only", "0", "enable_framed_pages", "0", "enable_framed_settings", "0",
		"enable_framed_allow_write_admin_token_auth", "0", "only_allow_secure_auth_tokens", postTokensOnly(user),
		"login_cookie_expire", "86400", "login_session_not_remembered_idle_timeout", "1800", "password_hash_algorithm", "argon2id",
		// The outside
		"enable_internet_features", "0", "enable_update_communication", "0", "enable_referrer_definition_syncs", "0",
		"allowed_outgoing_protocols", "https", "disable_tracking_matomo_app_links", "1",
		"piwik_professional_support_ads_enabled", "0", "show_update_notification_to_superusers_only", "1",
	)
	set("Tracker",
		"debug", "0", "debug_on_demand", "0", "record_statistics", "1", "tracking_requests_require_authentication", "1",
		"bulk_requests_use_transaction", "1", "scheduled_tasks_min_interval", "0", "enable_spam_filter", "1",
		"use_third_party_id_cookie", "0", "enable_fingerprinting_across_websites", "0",
		"url_query_parameter_to_exclude_from_url", strings.Join(excludedParameters, ","),
	)
	// Who guesses is locked out sooner than by Matomo's own 20 tries.
	set("Login", "enableBruteForceDetection", "1", "maxAllowedRetries", "10", "allowedRetriesTimeRange", "60", "enablePasswordStrengthCheck", "1")
	// Single visits go when their time is over. The form for it is closed: it
	// would win over what was decided here.
	set("General", "enable_delete_old_data_settings_admin", "0")
	set("Deletelogs", "delete_logs_enable", "1", "delete_logs_older_than", fmt.Sprint(b.Config.Privacy.RawDays))
	set("Debug", "enable_sql_profiler", "0", "log_sql_queries", "0", "tracker_always_new_visitor", "0")
	set("Development", "enabled", "0")
	f.SetList("log", "log_writers", []string{"errorlog"})
	set("log", "log_level", "WARN")
}

// excludedParameters are taken out of the addresses that are recorded: Matomo's
// own list (config/global.ini.php of 5.3.0), and what holds secrets and e-mail
// addresses.
var excludedParameters = []string{
	"gclid", "fbclid", "msclkid", "twclid", "wbraid", "gbraid", "yclid", "fb_xd_fragment", "fb_comment_id",
	"phpsessid", "jsessionid", "sessionid", "aspsessionid", "doing_wp_cron", "sid", "pk_vid",
	"token_auth", "tokenauth", "token", "access_token", "id_token", "refresh_token", "auth", "apikey", "api_key", "secret", "clientsecret", "client_secret",
	"password", "pass", "passwd", "pwd", "email", "e-mail", "e_mail", "mail", "emailaddress", "email_address",
}

// postTokensOnly refuses tokens in addresses, where logs and histories keep
// them. The tracker must take them: Matomo counts the token in the body of a
// bulk request as one in an address, and the front logs no query.
func postTokensOnly(user string) string {
	if user == TrackerUser {
		return "0"
	}
	return "1"
}

// databaseKind is the name that Matomo has for the kind of server.
func (b *blueprint) databaseKind() string {
	if b.Config.Database.Remote() && !b.Remote.MariaDB {
		return "Mysql"
	}
	return "Mariadb"
}

// newPassword gives the first login another password when an interrupted run
// made one that nobody has seen.
type newPassword struct{ *blueprint }

func (n newPassword) Name() string { return "first password" }

func (n newPassword) Looks() facts.Query { return facts.Query{Paths: []string{n.Layout.FirstLog}} }

func (n newPassword) Plan(s facts.Server) (change.Proposal, error) {
	if !s.Paths[n.Layout.FirstLog].Exists() || !n.login.Password.IsZero() {
		return change.Proposal{}, nil
	}
	return change.Proposal{Sentence: "make a new one: an interrupted run made one that was never shown"}, nil
}

func (n newPassword) Apply(ctx context.Context, w *change.Writer, _ facts.Server) error {
	password := secret.Random(passwordLength)
	return w.Action("set the first password", func() error {
		_, err := n.headless(ctx, headless.Request{
			Action: headless.Password, Root: n.Layout.Code,
			Superuser: headless.Superuser{Login: n.Config.Superuser.Login, Password: password},
		})
		if err == nil {
			n.login.Password = password
		}
		return err
	})
}
