package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/goccy/go-yaml"

	"rocca/internal/blueprint"
	"rocca/internal/config"
	"rocca/internal/facts"
	"rocca/internal/mariadb"
	"rocca/internal/secret"
)

// givenSecrets reads the file that the configuration names for them.
func givenSecrets(path string) (blueprint.Secrets, error) {
	if path == "" {
		return blueprint.Secrets{}, nil
	}
	text, err := readTrusted(path, 0o077)
	if err != nil {
		return blueprint.Secrets{}, fmt.Errorf("read secrets: %w", err)
	}
	given, err := blueprint.DecodeSecrets(text)
	if err != nil {
		return blueprint.Secrets{}, fmt.Errorf("read secrets %s: %w", path, err)
	}
	return given, nil
}

// givenAccounts tells whether the accounts on the database server were made by
// others.
func givenAccounts(d config.Database) bool { return d.Remote() && d.Credentials == "" }

// databaseServer says how to reach the database server: as its administrator,
// or, when nobody else is known, as the given account for migrations.
func databaseServer(d config.Database, known blueprint.Secrets) (mariadb.Server, error) {
	if !d.Remote() {
		return mariadb.Server{}, nil
	}
	text, err := readTrusted(d.CA, 0o022)
	if err != nil {
		return mariadb.Server{}, fmt.Errorf("read database.ca: %w", err)
	}
	ca, err := mariadb.Certificates(text)
	if err != nil {
		return mariadb.Server{}, fmt.Errorf("read database.ca %s: %w\nhint: it must be the PEM file of the authority that issued the database server's certificate", d.CA, err)
	}
	if givenAccounts(d) {
		return mariadb.Server{Host: d.Host, Port: d.Port, CA: ca, User: known.Slot.Login(blueprint.AdminUser), Password: known.Accounts[blueprint.AdminUser]}, nil
	}
	user, password, err := readCredentials("database.credentials", d.Credentials)
	return mariadb.Server{Host: d.Host, Port: d.Port, CA: ca, User: user, Password: password}, err
}

// readCredentials reads the login of a database's administrator from a file. what
// names the setting or flag that names the file.
func readCredentials(what, path string) (user string, password secret.Secret, err error) {
	text, err := readTrusted(path, 0o077)
	if err != nil {
		return "", secret.Secret{}, fmt.Errorf("read %s: %w", what, err)
	}
	var account struct{ Username, Password string }
	if err := yaml.UnmarshalWithOptions(text, &account, yaml.Strict()); err != nil || account.Username == "" || account.Password == "" {
		// The cause would show a line of the file.
		return "", secret.Secret{}, fmt.Errorf("read %s %s: it must have the two lines \"username: ...\" and \"password: ...\"", what, path)
	}
	return account.Username, secret.New(account.Password), nil
}

// trustedLimit is the largest file that readTrusted takes, in bytes. The
// bundles that clouds publish have some 200 KB.
const trustedLimit = 1 << 20

// readTrusted reads a file of root's that nobody else may use in one of the
// forbidden ways.
func readTrusted(path string, forbidden fs.FileMode) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file", path)
	case info.Sys().(*syscall.Stat_t).Uid != 0:
		return nil, fmt.Errorf("%s does not belong to root\nhint: chown root %[1]s", path)
	case info.Mode().Perm()&forbidden != 0:
		return nil, fmt.Errorf("%s is open to others (mode %04o)\nhint: chmod %04o %[1]s", path, info.Mode().Perm(), info.Mode().Perm()&^forbidden)
	case info.Size() > trustedLimit:
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that rocca takes", path, info.Size(), trustedLimit)
	}
	return io.ReadAll(io.LimitReader(f, trustedLimit))
}

// remoteDatabase finds out what the blueprint must know of a remote server.
// One that cannot be used is an error before anything is changed.
func (s *session) remoteDatabase(ctx context.Context, in *blueprint.Input, seen facts.Database) error {
	if s.server.Given {
		if err := s.tryAccounts(ctx); err != nil {
			return err
		}
	}
	if !seen.Reached {
		return fmt.Errorf("reach the database server: %s", seen.Problem)
	}
	host := s.config.Database.Host
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return fmt.Errorf("look up the database server: %w", err)
	}
	nameServers, err := nameServers()
	if err != nil {
		return err
	}
	in.Remote = blueprint.Remote{
		CA: s.server.Database.Server.CA, Client: seen.Client, MariaDB: seen.MariaDB(),
		Networks: blueprint.DatabaseNetworks(host, addresses, nameServers),
	}
	in.Passwords = blueprint.NewPasswords()
	maps.Copy(in.Passwords, s.accounts.Accounts)
	in.Slot = s.accounts.Slot
	s.server.Passwords = in.Slot.Logins(in.Passwords)
	return nil
}

// knownAccounts are the slot and the passwords of the accounts on a remote
// server: what was given, else what rocca made before.
func knownAccounts(d config.Database, given blueprint.Secrets) (blueprint.Secrets, error) {
	if !d.Remote() {
		return blueprint.Secrets{}, nil
	}
	if len(given.Accounts) > 0 {
		return blueprint.Secrets{Slot: given.Slot, Accounts: given.Accounts}, nil
	}
	stored, err := os.ReadFile(blueprint.PasswordFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return blueprint.Secrets{}, fmt.Errorf("read the passwords of the database accounts: %w", err)
	}
	slot, known := blueprint.DecodePasswords(stored)
	return blueprint.Secrets{Slot: slot, Accounts: known}, nil
}

// tryAccounts tries the given accounts: without one of them nothing can be done.
func (s *session) tryAccounts(ctx context.Context) error {
	for _, user := range blueprint.RemoteUsers() {
		login := s.accounts.Slot.Login(user)
		password, known := s.server.Passwords[login]
		if !known {
			return fmt.Errorf("log in to the database server as %s: no password was given\nhint: accounts: in %s has them; or name an administrator who makes the accounts (database: credentials:)", login, s.config.Secrets)
		}
		accepted, err := s.server.Database.Server.Accepts(ctx, login, password)
		if err != nil {
			return err
		}
		if !accepted {
			return fmt.Errorf("log in to the database server as %s: %w\nhint: is it made, and for this machine? rocca makes it when database.credentials names an administrator", login, blueprint.ErrNoAccount)
		}
	}
	return nil
}

// nameServers lists those of resolv.conf(5).
func nameServers() ([]netip.Addr, error) {
	text, err := os.ReadFile("/etc/resolv.conf")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for name servers: %w", err)
	}
	var servers []netip.Addr
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if address, err := netip.ParseAddr(words[1]); err == nil {
			servers = append(servers, address)
		}
	}
	return servers, nil
}
