package rotate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rocca/internal/blueprint"
	"rocca/internal/collect/db"
	"rocca/internal/facts"
	"rocca/internal/mariadb"
	"rocca/internal/progress"
	"rocca/internal/secret"
)

// Administrator tells how to log in to the database server as who may make
// accounts. It is asked again when the login is refused: the password may have
// been rotated meanwhile.
type Administrator func(ctx context.Context) (user string, password secret.Secret, err error)

// administer does something as the administrator, who is one at a time on all
// hosts of a Matomo.
func (h *Host) administer(ctx context.Context, as Administrator, do func(conn mariadb.Conn) error) error {
	conn, err := h.logIn(ctx, as)
	if mariadb.KeptOut(err) {
		conn, err = h.logIn(ctx, as)
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	lock, err := conn.DB.Conn(ctx)
	if err != nil {
		return fmt.Errorf("log in as the database's administrator: %w", conn.Server.Explain(err))
	}
	defer lock.Close() // which gives the lock back
	var got sql.NullInt64
	if err := lock.QueryRowContext(ctx, "SELECT GET_LOCK('rocca-provision', ?)", int(patience.Seconds())).Scan(&got); err != nil || got.Int64 != 1 {
		return fmt.Errorf("wait for another host that makes accounts: it did not end in %s\nhint: do the same again later", patience)
	}
	return do(conn)
}

func (h *Host) logIn(ctx context.Context, as Administrator) (mariadb.Conn, error) {
	server := h.Server
	var err error
	if server.User, server.Password, err = as(ctx); err != nil {
		return mariadb.Conn{}, err
	}
	conn, err := mariadb.Open(server)
	if err != nil {
		return conn, err
	}
	if err := conn.DB.PingContext(ctx); err != nil {
		_ = conn.Close()
		return conn, fmt.Errorf("log in as the database's administrator: %w", server.Explain(err))
	}
	return conn, nil
}

// Made is what Prepare and Repair answer.
type Made struct {
	Slot     blueprint.Slot `json:"slot"`
	Version  string         `json:"version"`
	Accounts []string       `json:"accounts"` // "login@host"
	Changed  bool           `json:"changed"`
}

// errInUse says that what is wanted would lock out who works.
var errInUse = errors.New("it is in use")

// Prepare makes the accounts of the slot that some secrets are for, with their
// passwords, and tries each. Accounts in use are left as they are.
func (h *Host) Prepare(ctx context.Context, to blueprint.Secrets, as Administrator) (Made, error) {
	return h.make(ctx, "prepare", to, as, false)
}

// Repair sets the accounts of the slot that is in use again, as the secrets of
// this host say, whoever uses them. It is for a database that was put back to an
// older day.
func (h *Host) Repair(ctx context.Context, to blueprint.Secrets, as Administrator) (Made, error) {
	return h.make(ctx, "repair", to, as, true)
}

func (h *Host) make(ctx context.Context, verb string, to blueprint.Secrets, as Administrator, force bool) (Made, error) {
	made := Made{Slot: to.Slot, Version: to.Version, Accounts: []string{}}
	if !h.Config.Database.Remote() {
		return made, nil // who asks the local server is known by the Unix user
	}
	made.Slot = normal(to.Slot)
	if len(to.Accounts) == 0 {
		return made, errors.New("make accounts: the secrets have no passwords for them")
	}
	err := h.does(verb, to, func() error {
		return h.administer(ctx, as, func(conn mariadb.Conn) error {
			m := maker{h, conn, verb, to, force}
			var err error
			made.Accounts, made.Changed, err = m.all(ctx)
			return err
		})
	})
	return made, err
}

// maker makes accounts as the administrator.
type maker struct {
	*Host
	conn  mariadb.Conn
	verb  string
	to    blueprint.Secrets
	force bool
}

func (m maker) all(ctx context.Context) (names []string, changed bool, err error) {
	accounts, seen, err := m.observe(ctx, m.conn, m.to.Slot)
	if err != nil {
		return nil, false, err
	}
	for _, a := range accounts {
		did, err := m.one(ctx, a, seen)
		if err != nil {
			return names, changed, fmt.Errorf("make the account %s: %w", a.Account, err)
		}
		changed = changed || did
		names = append(names, a.Account)
	}
	for _, a := range accounts {
		if err := m.step(m.verb, "try", "trying "+a.Account); err != nil {
			return names, changed, err
		}
		if err := m.Try(ctx, a, m.to.Accounts[a.User]); err != nil {
			return names, changed, fmt.Errorf("try the account %s: %w", a.Account, err)
		}
	}
	return names, changed, nil
}

// observe looks at the accounts of a slot as the administrator sees them.
func (h *Host) observe(ctx context.Context, conn mariadb.Conn, slot blueprint.Slot) ([]blueprint.RemoteAccount, facts.Database, error) {
	seen, err := db.Observe(ctx, conn, db.Accounts{})
	if err == nil && !seen.Reached {
		err = fmt.Errorf("reach the database server: %s", seen.Problem)
	}
	if err != nil {
		return nil, seen, err
	}
	accounts := blueprint.RemoteAccounts(h.Config, slot, seen.Client)
	var names []string
	for _, a := range accounts {
		names = append(names, a.Account)
	}
	seen, err = db.Observe(ctx, conn, db.Accounts{Names: names})
	return accounts, seen, err
}

func (m maker) one(ctx context.Context, a blueprint.RemoteAccount, seen facts.Database) (changed bool, err error) {
	now, password := seen.Accounts[a.Account], m.to.Accounts[a.User]
	accepted := false
	if now.Exists && now.TLS {
		if accepted, err = m.Accepts(ctx, a.Login, password); err != nil {
			return false, err
		}
	}
	if now.Exists && !accepted && !m.force {
		if err := m.unused(ctx, a.Login); err != nil {
			return false, err
		}
	}
	statements := statements(a, now, accepted, mariadb.Identified(seen.MariaDB(), password))
	if len(statements) == 0 {
		return false, nil
	}
	if err := m.step(m.verb, "account", "making "+a.Account); err != nil {
		return false, err
	}
	for _, statement := range statements {
		if err := m.conn.Exec(ctx, statement); err != nil {
			return false, err
		}
	}
	return true, nil
}

// unused refuses to give an account another password that somebody works with.
func (m maker) unused(ctx context.Context, login string) error {
	pools, err := m.Account()
	if err != nil {
		return err
	}
	for user, slot := range pools.Pools {
		if slot.Login(user) == login {
			return fmt.Errorf("this host works with it, and the secret has another password: %w\nhint: when the database is not what it was: rocca rotate db repair, on AWS rocca aws rotate db repair", errInUse)
		}
	}
	sessions, err := sessions(ctx, m.conn, []string{login})
	if err != nil {
		return err
	}
	if sessions > 0 {
		return fmt.Errorf("it has another password and %d sessions: %w\nhint: do the same again when they have ended", sessions, errInUse)
	}
	return nil
}

// statements bring an account to what it has to be. identified is the part of
// them with the password.
func statements(a blueprint.RemoteAccount, now facts.Account, accepted bool, identified string) []string {
	name := mariadb.User(a.Account)
	var all []string
	switch {
	case !now.Exists:
		all = append(all, "CREATE USER "+name+identified)
	case !accepted:
		all = append(all, "ALTER USER "+name+identified+" ACCOUNT UNLOCK")
	}
	for _, grant := range now.Grants {
		if slices.Contains(a.Grants, grant) {
			continue
		}
		bare, option := strings.CutSuffix(grant, " WITH GRANT OPTION")
		all = append(all, "REVOKE "+bare+" FROM "+name)
		if option {
			_, object, _ := strings.Cut(bare, " ON ")
			all = append(all, "REVOKE GRANT OPTION ON "+object+" FROM "+name)
		}
	}
	for _, grant := range a.Grants {
		if !slices.Contains(now.Grants, grant) {
			all = append(all, "GRANT "+grant+" TO "+name)
		}
	}
	return all
}

// try logs in and does what Matomo does: reads, writes, makes temporary tables.
// Nothing of it stays.
func (h *Host) try(ctx context.Context, a blueprint.RemoteAccount, password secret.Secret) error {
	server := h.Server
	server.User, server.Password = a.Login, password
	opened, err := mariadb.Open(server)
	if err != nil {
		return err
	}
	defer opened.Close()
	conn, err := opened.DB.Conn(ctx)
	if err != nil {
		return server.Explain(err)
	}
	defer conn.Close()
	if err := conn.QueryRowContext(ctx, "SELECT 1 FROM "+table(h.Config.Database, "site")+" LIMIT 1").Scan(new(int)); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read: %w", err)
	}
	if a.User != blueprint.TrackerUser { // which has none
		if _, err := conn.ExecContext(ctx, "CREATE TEMPORARY TABLE "+table(h.Config.Database, "rocca_rotation")+" (n INT)"); err != nil {
			return fmt.Errorf("make a temporary table: %w", err)
		}
	}
	transaction, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	_, err = transaction.ExecContext(ctx, "INSERT INTO "+table(h.Config.Database, "option")+" (option_name, option_value) VALUES ('report_to_invalidate_rocca_rotation', '')")
	if err != nil {
		err = fmt.Errorf("write: %w", err)
	}
	return errors.Join(err, transaction.Rollback())
}

// farewell is how long the server may still list a session that has ended, or a
// login that it has refused.
const farewell = 3 * time.Second

// sessions counts those of some logins on the database server that last.
func sessions(ctx context.Context, conn mariadb.Conn, logins []string) (int, error) {
	var quoted []string
	for _, login := range logins {
		quoted = append(quoted, mariadb.Quote(login))
	}
	statement := "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER IN (" + strings.Join(quoted, ", ") + ")"
	for end := time.Now().Add(farewell); ; {
		var count int
		if err := conn.DB.QueryRowContext(ctx, statement).Scan(&count); err != nil {
			return 0, fmt.Errorf("look who is at work on the database server: %w", err)
		}
		if count == 0 || time.Now().After(end) {
			return count, nil
		}
		select {
		case <-ctx.Done():
			return count, context.Cause(ctx)
		case <-time.After(farewell / 20):
		}
	}
}

// Retired is what Retire answers.
type Retired struct {
	Slot     blueprint.Slot `json:"slot"`
	Locked   []string       `json:"locked"`   // "login@host"
	Sessions int            `json:"sessions"` // that kept it from being done
}

// ErrSessions says that accounts are still at work.
var ErrSessions = errors.New("there are sessions of it")

// Retire locks the accounts of a slot that no host works with any more, and
// makes their passwords worthless. While there are sessions of it, it refuses;
// it looks again for that long.
func (h *Host) Retire(ctx context.Context, slot blueprint.Slot, as Administrator, wait time.Duration) (Retired, error) {
	r := Retired{Slot: slot, Locked: []string{}}
	if !h.Config.Database.Remote() {
		return r, nil
	}
	used, err := h.uses(slot)
	if err == nil && used {
		err = fmt.Errorf("this host works with it: %w\nhint: let it go over to the other slot first", errInUse)
	}
	if err != nil {
		return r, fmt.Errorf("retire slot %s: %w", slot, err)
	}
	err = h.does("retire", blueprint.Secrets{Slot: slot}, func() error {
		return h.administer(ctx, as, func(conn mariadb.Conn) error {
			accounts, seen, err := h.observe(ctx, conn, slot)
			if err != nil {
				return err
			}
			logins := logins(accounts)
			if r.Sessions, err = h.idle(ctx, conn, logins, wait); err != nil {
				return err
			}
			r.Locked, r.Sessions, err = h.lock(ctx, conn, accounts, seen)
			return err
		})
	})
	if err != nil {
		err = fmt.Errorf("retire slot %s: %w", slot, err)
	}
	return r, err
}

func logins(accounts []blueprint.RemoteAccount) []string {
	var names []string
	for _, a := range accounts {
		names = append(names, a.Login)
	}
	return names
}

// idle waits until no login of some is at work.
func (h *Host) idle(ctx context.Context, conn mariadb.Conn, logins []string, wait time.Duration) (int, error) {
	for end := time.Now().Add(wait); ; {
		count, err := sessions(ctx, conn, logins)
		if err != nil || count == 0 {
			return count, err
		}
		if time.Now().After(end) {
			return count, busy(count)
		}
		h.Tell.Tell(progress.Event{Kind: progress.Wait, Step: "retire", Text: fmt.Sprintf("%d sessions of %s to end", count, strings.Join(logins, ", "))})
		select {
		case <-ctx.Done():
			return count, context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}

func busy(count int) error {
	return fmt.Errorf("%w: %d\nhint: an archive run may take hours; go on when it has ended", ErrSessions, count)
}

// lock locks first, which can be taken back: whoever came in just before is seen
// now, and must not lose the password.
func (h *Host) lock(ctx context.Context, conn mariadb.Conn, accounts []blueprint.RemoteAccount, seen facts.Database) (locked []string, count int, err error) {
	locked = []string{}
	accounts = slices.DeleteFunc(slices.Clone(accounts), func(a blueprint.RemoteAccount) bool { return !seen.Accounts[a.Account].Exists })
	all := func(end string) error {
		for _, a := range accounts {
			if err := conn.Exec(ctx, "ALTER USER "+mariadb.User(a.Account)+end); err != nil {
				return fmt.Errorf("lock %s: %w", a.Account, err)
			}
		}
		return nil
	}
	if err := h.step("retire", "lock", "locking the accounts"); err != nil {
		return locked, 0, err
	}
	if err := all(" ACCOUNT LOCK"); err != nil {
		return locked, 0, err
	}
	logins := logins(accounts)
	if len(logins) == 0 {
		return locked, 0, nil
	}
	if count, err = sessions(ctx, conn, logins); err != nil || count > 0 {
		if err == nil {
			err = busy(count)
		}
		return locked, count, errors.Join(err, all(" ACCOUNT UNLOCK"))
	}
	if err := h.step("retire", "password", "making their passwords worthless"); err != nil {
		return locked, 0, err
	}
	for _, a := range accounts {
		if err := conn.Exec(ctx, "ALTER USER "+mariadb.User(a.Account)+mariadb.Identified(seen.MariaDB(), secret.Random(40))+" ACCOUNT LOCK"); err != nil {
			return locked, 0, fmt.Errorf("lock %s: %w", a.Account, err)
		}
		locked = append(locked, a.Account)
	}
	return locked, 0, nil
}
