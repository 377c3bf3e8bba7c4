package demo

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"rocca/internal/matomo/headless"
	"rocca/internal/matomo/ini"
	"rocca/internal/run"
	"rocca/internal/secret"
)

// The weak servers: real packages and a real Matomo, in layouts that rocca's
// controls and attacks must find and break.
const (
	WeakStock = "stock" // Apache with PHP inside it, the tree owned by its user
	WeakS1    = "s1"    // what the AWS guide's install script leaves
	WeakS2    = "s2"    // the hardening slides' recipe to the letter
)

//go:embed weak/*.sh
var weakScripts embed.FS

// LoginFile is where, inside a weak server, its Matomo login is kept: a JSON
// object with "login" and "password", readable by root.
const LoginFile = "/root/matomo-login.json"

// weakServer is one kind of weak server.
type weakServer struct {
	packages []string // beside those that all have
	user     string   // Unix user that PHP runs as
	host     string   // [database] host of Matomo's configuration
	rights   string   // of the database account
	root     func(version string) string
}

func weakKind(name string) weakServer {
	fixed := func(path string) func(string) string { return func(string) string { return path } }
	switch name {
	case WeakS1:
		return weakServer{
			packages: []string{"php-fpm"}, user: "www-data", root: fixed("/var/www/html"),
			host: "127.0.0.1", rights: "ALL PRIVILEGES ON *.* TO %s WITH GRANT OPTION", // the master user of RDS
		}
	case WeakS2:
		return weakServer{
			packages: []string{"php-fpm"}, user: "apache-matomo", root: func(version string) string { return "/var/www/matomo/www-matomo." + version },
			host: "127.0.0.1", rights: "ALL PRIVILEGES ON `matomo`.* TO %s",
		}
	}
	return weakServer{
		packages: []string{"libapache2-mod-php"}, user: "www-data", root: fixed("/var/www/matomo"),
		host: "localhost", rights: "ALL PRIVILEGES ON `matomo`.* TO %s",
	}
}

// installWeak turns the booted bare server into a weak one.
func (s *Server) installWeak(ctx context.Context, release hostRelease, say func(string, ...any)) error {
	kind := weakKind(s.Weak)
	packages := append([]string{"apache2", "mariadb-server", "php-cli", "php-mysql", "php-xml", "php-mbstring", "php-gd", "php-curl", "php-zip", "php-intl"}, kind.packages...)
	say("installing packages, from the cache of the server")
	watched := newHeartbeat("apt-get", say)
	_, err := s.Run(ctx, run.Command{
		Argv:   append([]string{"apt-get", "install", "-y", "--no-install-recommends", "--no-download"}, packages...),
		Output: watched,
	})
	watched.stop()
	if err != nil {
		return err
	}

	guest, err := s.copyRelease(ctx, release)
	if err != nil {
		return err
	}
	version, err := s.unpackRelease(ctx, guest)
	if err != nil {
		return err
	}
	root := kind.root(version)
	say("setting up the weak server %s with Matomo %s in %s", s.Weak, version, root)
	script, err := weakScripts.ReadFile("weak/" + s.Weak + ".sh")
	if err != nil {
		return fmt.Errorf("set up the weak server %s: %w", s.Weak, err)
	}
	if _, err := s.Run(ctx, run.Command{Argv: []string{"sh", "-euc", string(script), s.Weak, guestUnpacked, version}}); err != nil {
		return fmt.Errorf("set up the weak server %s: %w", s.Weak, err)
	}
	for _, used := range []string{guestUnpacked, guestUnpacked + ".zip", guestArchives} {
		if err := os.RemoveAll(s.Root + used); err != nil {
			return fmt.Errorf("remove the release from demo server %s: %w", s.Name, err)
		}
	}

	password := secret.Random(24)
	account := fmt.Sprintf("'matomo'@'%s'", kind.host)
	// The password goes in on stdin, and has no character that SQL would mind.
	statements := fmt.Sprintf("CREATE DATABASE `matomo`; CREATE USER %s IDENTIFIED BY '%s'; GRANT %s;\n",
		account, password.Reveal(), fmt.Sprintf(kind.rights, account))
	if _, err := s.Run(ctx, run.Command{Argv: []string{"mariadb"}, Stdin: strings.NewReader(statements)}); err != nil {
		return fmt.Errorf("make the database of the weak server %s: %w", s.Weak, err)
	}
	return s.installMatomo(ctx, kind, root, password, say)
}

// installMatomo does what the web installer would: it leaves Matomo's
// configuration with the database password in it, owned by PHP's user.
func (s *Server) installMatomo(ctx context.Context, kind weakServer, root string, password secret.Secret, say func(string, ...any)) error {
	var config ini.File
	for _, setting := range [][2]string{
		{"host", kind.host}, {"username", "matomo"}, {"password", password.Reveal()}, {"dbname", "matomo"},
		{"tables_prefix", "matomo_"}, {"adapter", `PDO\MYSQL`}, {"schema", "Mariadb"}, {"charset", "utf8mb4"},
	} {
		config.Set("database", setting[0], setting[1])
	}
	config.Set("General", "salt", machineID()) // 32 random hexadecimal digits, as Matomo makes them
	config.SetList("General", "trusted_hosts", []string{fmt.Sprintf("127.0.0.1:%d", s.Port), "127.0.0.1", "localhost", "matomo.localhost"})
	config.Set("General", "installation_in_progress", "1")
	if err := s.writeAs(ctx, kind.user, root+"/config/config.ini.php", &config); err != nil {
		return err
	}

	login := headless.Superuser{Login: "admin", Password: secret.Random(20), Email: "admin@matomo.localhost", Language: "en"}
	request, err := headless.Request{
		Action: headless.Install, Root: root, URL: s.URL, MaskedIPBytes: 2, Superuser: login,
		Site: headless.Site{Name: "Example", URL: "http://example.org", Timezone: "UTC", Currency: "EUR"},
	}.Encode()
	if err != nil {
		return err
	}
	const program = "/usr/local/lib/rocca-demo/headless.php"
	if err := writeFile(s.Root+program, headless.Script, 0o644); err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(s.Root + program))
	got, err := s.Run(ctx, run.Command{
		Argv:  []string{"runuser", "-u", kind.user, "--", "php", "-d", "memory_limit=512M", program},
		Stdin: bytes.NewReader(request),
	})
	answer, answerErr := headless.Decode(bytes.NewReader(got.Stdout))
	if err != nil || answerErr != nil {
		return fmt.Errorf("install Matomo in the weak server %s: %w", s.Weak, errors.Join(answerErr, err))
	}

	config.Delete("General", "installation_in_progress")
	config.SetList("PluginsInstalled", "PluginsInstalled", answer.PluginsInstalled)
	if err := s.writeAs(ctx, kind.user, root+"/config/config.ini.php", &config); err != nil {
		return err
	}
	kept, err := json.Marshal(map[string]string{"login": login.Login, "password": login.Password.Reveal()})
	if err != nil {
		return fmt.Errorf("keep the login of demo server %s: %w", s.Name, err)
	}
	if err := writeFile(s.Root+LoginFile, kept, 0o600); err != nil {
		return err
	}
	say("Matomo is installed; its login is in %s of the server", LoginFile)
	return nil
}

// writeAs writes Matomo's configuration as PHP's user would.
func (s *Server) writeAs(ctx context.Context, user, name string, config *ini.File) error {
	text, err := config.Encode()
	if err != nil {
		return fmt.Errorf("write %s in demo server %s: %w", name, s.Name, err)
	}
	_, err = s.Run(ctx, run.Command{Argv: []string{"runuser", "-u", user, "--", "dd", "status=none", "of=" + name}, Stdin: bytes.NewReader(text)})
	return err
}
