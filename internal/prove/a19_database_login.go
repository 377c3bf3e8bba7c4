package prove

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"rocca/internal/collect/db"
	"rocca/internal/facts"
	"rocca/internal/mariadb"
	"rocca/internal/matomo/ini"
	"rocca/internal/model"
	"rocca/internal/run"
	"rocca/internal/secret"
)

var a19 = Attack{
	ID:    "A19",
	Title: "somebody else logs in to the database: another user, another way, without TLS",
	How: `Every Unix user that could be broken into connects to the database server's socket and tries each account, the one without a name too, with no password and with the account's name for one; then with the password that it finds in Matomo's configuration, if it can read that.
The same accounts are tried by TCP on each address of this machine where the server answers. An answer on an address that is not private is a way in by itself. On a throw-away server another network is made, and the server asked from there.
Where Matomo's database is on another machine, PHP is led to a server on this one that shows a certificate of its own: it must not go on to log in. Who logs in by the identity that the account is bound to (its own Unix user) is no stranger, and is only used to see that logging in works at all.`,
	Risk:    "lines in the server's log of logins that were refused; accounts that are locked after few wrong passwords are left alone",
	Without: []Protection{withoutSocketIdentity, withoutSkipNetworking},
	Attempt: attackDatabaseLogin,
}

var withoutSocketIdentity = Protection{
	ID:       "socket-identity",
	Title:    "Matomo's database accounts are known by the Unix user, and have no password",
	Part:     DataPart,
	Remove:   inSchema("ALTER USER '$ui'@'localhost' IDENTIFIED BY ''"),
	Controls: []string{"DB-05", "DB-08"},
}

var withoutSkipNetworking = Protection{
	ID:       "skip-networking",
	Title:    "the database server does not listen on the network",
	Part:     DataPart,
	Remove:   `sed -i 's/^skip-networking$/bind-address = 0.0.0.0/' /etc/mysql/mariadb.conf.d/90-rocca.cnf; systemctl restart mariadb`,
	Controls: []string{"DB-01"},
}

func attackDatabaseLogin(ctx context.Context, t *Target, r *Record) error {
	main := db.LoginOf(t.Matomo.Main(), secret.Secret{})
	if main.Remote() {
		return attackImpostor(ctx, t, r)
	}
	if err := fewWrongPasswordsLock(ctx, t); err != nil {
		return err
	}
	socket := cmp.Or(socketOf(main), mariadb.Socket)
	if err := loginWorks(ctx, t, socket); err != nil {
		return err
	}
	return errors.Join(attackSocket(ctx, t, r, socket), attackByFoundPassword(ctx, t, r, main), attackByTCP(ctx, t, r, main))
}

// fewWrongPasswordsLock is an error when trying would lock out who uses an account.
func fewWrongPasswordsLock(ctx context.Context, t *Target) error {
	conn, err := t.SQL(ctx)
	if err != nil {
		return err
	}
	var name, value string
	if err := conn.DB.QueryRowContext(ctx, "SHOW GLOBAL VARIABLES LIKE 'max_password_errors'").Scan(&name, &value); err != nil {
		return nil //nolint:nilerr // MySQL has no such variable
	}
	if limit, err := strconv.ParseUint(value, 10, 64); err == nil && limit < 10_000 {
		return fmt.Errorf("try to log in to the database: it locks accounts after %d wrong passwords (max_password_errors)", limit)
	}
	return nil
}

// loginWorks sees that who an account is bound to does get in: otherwise all
// that is refused here would show nothing.
func loginWorks(ctx context.Context, t *Target, socket string) error {
	for _, c := range t.Matomo.Contexts {
		user := c.Setting("database.username")
		if c.User == "" || user != c.User || !byUnixUser(t, user) {
			continue
		}
		if as, err := loginBySocket(ctx, c.User, socket, user, ""); as == "" {
			return fmt.Errorf("log in to the database as %s itself, to see that it can be done: %w", user, err)
		}
	}
	return nil
}

// byUnixUser tells whether an account is that of the Unix user of its name.
func byUnixUser(t *Target, user string) bool {
	for name, account := range t.Database.Accounts {
		if before, _, _ := strings.Cut(name, "@"); before == user && strings.Contains(account.Identity, "_socket") {
			return true
		}
	}
	return false
}

// whose tells whether Matomo itself uses an account as that Unix user.
func whose(t *Target, account, unixUser string) bool {
	return slices.ContainsFunc(t.Matomo.Contexts, func(c facts.Context) bool {
		return c.User == unixUser && c.Setting("database.username") == account
	})
}

// accountNames are the user names of all accounts, and two that must not be.
func accountNames(t *Target) []string {
	names := []string{"", "root"}
	for name, account := range t.Database.Accounts {
		if account.Exists && !account.Role {
			user, _, _ := strings.Cut(name, "@")
			names = append(names, user)
		}
	}
	for _, c := range t.Matomo.Contexts {
		names = append(names, c.Setting("database.username"))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// guesses are the passwords that are tried for an account.
func guesses(account string) []string {
	if account == "" {
		return []string{""}
	}
	return []string{"", account}
}

func attackSocket(ctx context.Context, t *Target, r *Record, socket string) error {
	var problems []error
	for _, unixUser := range t.Others() {
		for _, account := range accountNames(t) {
			if account == unixUser && byUnixUser(t, account) || whose(t, account, unixUser) {
				continue
			}
			for _, password := range guesses(account) {
				as, err := loginBySocket(ctx, unixUser, socket, account, password)
				if as == "" && !shut(err) {
					problems = append(problems, fmt.Errorf("log in to the database as %q, being %s: %w", account, unixUser, err))
					continue
				}
				try := model.Try{
					Who: "user " + unixUser, What: "log in to the database " + withWhat(password), Where: socket + ", account " + named(account),
					Answer: answerOf(as, err), Fell: as != "",
				}
				if try.Fell {
					try.Reproduce = run.Quote(AsCommand(unixUser, run.Command{Argv: []string{
						"mariadb", "--no-defaults", "--socket=" + socket, "--user=" + account, "--password=" + password, "-N", "-e", "SELECT CURRENT_USER()",
					}}).Argv)
				}
				r.Try(try)
			}
		}
	}
	return errors.Join(problems...)
}

func withWhat(password string) string {
	if password == "" {
		return "with no password"
	}
	return "with the account's name for a password"
}

func named(account string) string {
	if account == "" {
		return "without a name"
	}
	return account
}

func answerOf(as string, err error) string {
	if as != "" {
		return "logged in as " + as
	}
	return err.Error()
}

// shut tells whether an error means that a login, or the way to it, is closed.
func shut(err error) bool {
	var refused *mysql.MySQLError
	if errors.As(err, &refused) {
		// Besides those of KeptOut: locked (MariaDB, MySQL), a way to log in that the
		// server does not have, a password that has to be changed first.
		return mariadb.KeptOut(err) || slices.Contains([]uint16{4151, 3118, 1524, 1862}, refused.Number)
	}
	return errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist)
}

// loginBySocket connects as a Unix user, which the server is told by the
// kernel, and logs in. It returns who the server takes it for.
func loginBySocket(ctx context.Context, unixUser, socket, account, password string) (string, error) {
	var conn net.Conn
	err := As(unixUser, func() (err error) {
		conn, err = net.DialTimeout("unix", socket, loginPatience)
		return err
	})
	if err != nil {
		return "", err
	}
	return login(ctx, conn, account, password)
}

// The kernel of this machine connects at once, or a packet filter says nothing;
// a login may take longer.
const (
	kernelPatience = 250 * time.Millisecond
	loginPatience  = 2 * time.Second
)

// login logs in on a connection, and closes it.
func login(ctx context.Context, conn net.Conn, account, password string) (string, error) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(loginPatience)); err != nil {
		return "", err
	}
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr = account, password, "tcp", "this:1"
	c.Logger = &mysql.NopLogger{}
	c.DialFunc = func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return "", err
	}
	session, err := connector.Connect(ctx)
	if err != nil {
		return "", err
	}
	return cmp.Or(account, "the account without a name"), session.Close()
}

// attackByFoundPassword logs in with what others can read in the configuration.
func attackByFoundPassword(ctx context.Context, t *Target, r *Record, l db.Login) error {
	var problems []error
	for _, c := range t.Matomo.Contexts {
		if c.Secrets["database.password"].Length == 0 {
			continue
		}
		account := c.Setting("database.username")
		for _, unixUser := range t.Others(append(t.poolUsers(), c.User)...) {
			password, err := passwordAs(unixUser, c.Config)
			try := model.Try{Who: "user " + unixUser, What: "log in to the database with the password of Matomo's configuration", Where: c.Config + ", account " + account}
			if err != nil {
				try.Answer = err.Error()
				r.Try(try)
				continue
			}
			as, err := loginAsMatomoDoes(ctx, unixUser, l, account, password)
			if as == "" && !shut(err) {
				problems = append(problems, fmt.Errorf("log in to the database as %s: %w", account, err))
				continue
			}
			try.Answer, try.Fell = answerOf(as, err), as != ""
			if try.Fell {
				line := asAccount(c, l) + " -N -e 'SELECT CURRENT_USER()'"
				try.Reproduce = run.Quote(AsCommand(unixUser, run.Command{Argv: []string{"sh", "-c", line}}).Argv)
			}
			r.Try(try)
		}
	}
	return errors.Join(problems...)
}

// passwordAs reads the database password from a configuration, as a Unix user.
func passwordAs(unixUser, config string) (secret.Secret, error) {
	var text []byte
	err := As(unixUser, func() error {
		file, err := os.Open(config)
		if err != nil {
			return err
		}
		defer file.Close()
		text, err = io.ReadAll(io.LimitReader(file, 1<<20))
		return err
	})
	if err != nil {
		return secret.Secret{}, err
	}
	parsed, err := ini.Parse(text)
	if err != nil {
		return secret.Secret{}, err
	}
	password, _ := parsed.Get("database", "password")
	return secret.New(password), nil
}

func loginAsMatomoDoes(ctx context.Context, unixUser string, l db.Login, account string, password secret.Secret) (string, error) {
	if socket := socketOf(l); socket != "" {
		return loginBySocket(ctx, unixUser, socket, account, password.Reveal())
	}
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(l.Host, strconv.Itoa(l.Port)), loginPatience)
	if err != nil {
		return "", err
	}
	return login(ctx, conn, account, password.Reveal())
}

func attackByTCP(ctx context.Context, t *Target, r *Record, l db.Login) error {
	addresses, err := ownAddresses()
	if err != nil {
		return err
	}
	var other *outside
	if t.Throwaway {
		if other, err = t.openOutside(ctx); err != nil {
			return err
		}
		defer func() { _ = other.Close() }() // the network goes with this process
		for _, here := range other.Here {
			addresses = append(addresses, here.String())
		}
	}
	var problems []error
	for _, port := range databasePorts(t, l) {
		for _, address := range addresses {
			problems = append(problems, attackAddress(ctx, t, r, address, port))
		}
		if other == nil {
			continue
		}
		for _, here := range other.Here {
			where := net.JoinHostPort(here.String(), strconv.Itoa(port))
			answered, _, answer := greeting(func() (net.Conn, error) { return other.Dial("tcp", where, kernelPatience) })
			try := model.Try{Who: "another network", What: "connect to the database", Where: where, Answer: answer, Fell: answered}
			if answered {
				try.Reproduce = answeredOn(port)
			}
			r.Try(try)
		}
	}
	return errors.Join(problems...)
}

// attackAddress connects to one address of this machine, and tries all accounts
// where the server answers.
func attackAddress(ctx context.Context, t *Target, r *Record, address string, port int) error {
	where := net.JoinHostPort(address, strconv.Itoa(port))
	dial := func() (net.Conn, error) { return net.DialTimeout("tcp", where, kernelPatience) }
	answered, greeted, answer := greeting(dial)
	try := model.Try{Who: "this machine", What: "connect to the database", Where: where, Answer: answer, Fell: answered && !privateAddress(address)}
	switch {
	case try.Fell:
		try.Note = "it is no private address: whoever reaches it tries passwords, or weaknesses of the server; a packet filter may still stand in front"
		try.Reproduce = answeredOn(port)
	case answered:
		try.Note = "on a private address an answer alone is no way in"
	}
	r.Try(try)
	if !greeted {
		return nil
	}
	var problems []error
	for _, account := range accountNames(t) {
		for _, password := range guesses(account) {
			conn, err := dial()
			if err != nil {
				return fmt.Errorf("connect to the database at %s: %w", where, err)
			}
			as, err := login(ctx, conn, account, password)
			if as == "" && !shut(err) {
				problems = append(problems, fmt.Errorf("log in to the database at %s as %q: %w", where, account, err))
				continue
			}
			try := model.Try{Who: "this machine", What: "log in to the database " + withWhat(password), Where: where + ", account " + named(account), Answer: answerOf(as, err), Fell: as != ""}
			if try.Fell {
				try.Reproduce = run.Quote([]string{"mariadb", "--no-defaults", "--protocol=tcp", "--host=" + address, "--port=" + strconv.Itoa(port), "--user=" + account, "--password=" + password, "-N", "-e", "SELECT CURRENT_USER()"})
			}
			r.Try(try)
		}
	}
	return errors.Join(problems...)
}

// greeting connects, and reads the beginning of what the server says first:
// whether it answers at all, and whether this client may then log in.
func greeting(dial func() (net.Conn, error)) (answered, greeted bool, answer string) {
	conn, err := dial()
	if err != nil {
		return false, false, err.Error()
	}
	defer conn.Close()
	first := make([]byte, 128)
	read := 0
	err = conn.SetReadDeadline(time.Now().Add(loginPatience))
	if err == nil {
		read, err = io.ReadAtLeast(conn, first, 6)
	}
	if err != nil {
		return false, false, "it says nothing: " + err.Error()
	}
	// After the length and number of the packet: 10, and the server's version; or
	// 255, the number of an error, and its text.
	if text := first[5:read]; first[4] != 0xff {
		version, _, _ := strings.Cut(string(text), "\x00")
		return true, true, "it greets: " + version
	}
	return true, false, "it answers: " + string(first[min(7, read):read])
}

// answeredOn is a line that asks the server on an address that nobody has.
func answeredOn(port int) string {
	const nobodys = "198.51.100.9"
	return "( ip address add " + nobodys + "/32 dev lo; timeout 3 bash -c 'exec 3<>/dev/tcp/" + nobodys + "/" + strconv.Itoa(port) + "; IFS= read -r -t 2 -n 3 first <&3; answer=$(timeout 1 head -c 60 <&3 | tr -cd [:print:]); echo \"it answers: $answer\"; [ -n \"$answer\" ]' 2>/dev/null; result=$?; ip address delete " + nobodys + "/32 dev lo; exit $result )"
}

// privateAddress tells whether no router of the Internet knows an address, as
// DB-01 sees it.
func privateAddress(text string) bool {
	address, err := netip.ParseAddr(text)
	return err == nil && (address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() || netip.MustParsePrefix("100.64.0.0/10").Contains(address.Unmap()))
}

// ownAddresses are all that this machine has.
func ownAddresses() ([]string, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list this machine's addresses: %w", err)
	}
	found := map[string]bool{"127.0.0.1": true, "::1": true}
	for _, network := range all {
		if prefix, ok := network.(*net.IPNet); ok && !prefix.IP.IsLinkLocalUnicast() { // those need a zone
			found[prefix.IP.String()] = true
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// databasePorts are the usual one, the one of Matomo's configuration, and those
// that a database server listens on.
func databasePorts(t *Target, l db.Login) []int {
	ports := []int{3306, l.Port}
	for _, listener := range t.Listeners {
		if isDatabase(listener) {
			ports = append(ports, listener.Port)
		}
	}
	slices.Sort(ports)
	return slices.DeleteFunc(slices.Compact(ports), func(port int) bool { return port == 0 })
}

func isDatabase(l facts.Listener) bool {
	return l.Protocol != "udp" && slices.Contains([]string{"mariadbd", "mysqld"}, l.Program)
}
