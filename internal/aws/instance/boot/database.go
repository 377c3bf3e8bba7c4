package boot

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/go-sql-driver/mysql"

	"rocca/internal/aws/client"
	"rocca/internal/aws/instance"
	"rocca/internal/blueprint"
	"rocca/internal/config"
	"rocca/internal/mariadb"
)

// awaitDatabase returns when Matomo's accounts can log in and its tables are
// there. Where they are not, the instance that has the role of the worker makes
// them, as soon as it may read the administrator's secret: whoever deploys gives
// it that right for half an hour. The others wait for it.
func (b *boot) awaitDatabase(ctx context.Context, accounts blueprint.Secrets) error {
	ca, err := os.ReadFile(instance.CAPath)
	if err != nil {
		return fmt.Errorf("read the authorities of the database: %w", err)
	}
	d := database{b.config.Database, ca}
	err = b.retry(ctx, databasePatience, func() (string, error) {
		missing := d.ready(ctx, accounts)
		switch {
		case missing == nil:
			return "", nil
		case !errors.Is(missing, errNotMade):
			return "the database", missing
		case !b.provisions():
			return "another instance to make the accounts and tables of Matomo", missing
		}
		administrator, err := b.administrator(ctx)
		if client.Denied(err) || client.Refused(err, "ResourceNotFoundException") {
			return "the right to make Matomo's accounts: rocca aws deploy gives it, or rocca aws provision", err
		}
		if err != nil {
			return "the administrator's secret", err
		}
		release, err := d.lock(ctx, administrator)
		if err != nil {
			return "the database", err
		}
		if release == nil {
			return "another instance that makes the accounts and tables of Matomo", missing
		}
		defer release()
		if d.ready(ctx, accounts) == nil {
			return "", nil // made while we waited
		}
		b.note("making the accounts and tables of Matomo")
		return "", b.provision(ctx, administrator)
	})
	if err != nil {
		return fmt.Errorf("prepare the database: %w", err)
	}
	return nil
}

// provisions tells whether this instance makes accounts and tables: there may be
// many others, and one worker.
func (b *boot) provisions() bool {
	return b.config.Database.Master != "" && slices.Contains(b.config.Roles, config.RoleWorker)
}

type database struct {
	instance.Database
	ca []byte
}

// errNotMade says that the database server answers, and that accounts or tables
// are not there or not as they should be.
var errNotMade = errors.New("the accounts and tables of Matomo are not there")

// ready looks whether each account can log in, and the tracker's account sees a
// table, which it is granted last of all.
func (d database) ready(ctx context.Context, accounts blueprint.Secrets) error {
	for _, user := range []string{blueprint.AdminUser, blueprint.UIUser, blueprint.TrackerUser} {
		conn, err := d.open(account{accounts.Slot.Login(user), accounts.Accounts[user]})
		if err != nil {
			return err
		}
		statement := "SELECT 1"
		if user == blueprint.TrackerUser {
			statement = "SELECT 1 FROM " + mariadb.Identifier(d.Name) + "." + mariadb.Identifier(tablePrefix+"site") + " LIMIT 1"
		}
		_, err = conn.DB.ExecContext(ctx, statement)
		_ = conn.Close()
		var refused *mysql.MySQLError
		if errors.As(err, &refused) {
			return fmt.Errorf("%w: %s: %w", errNotMade, user, err)
		}
		if err != nil {
			return conn.Server.Explain(err)
		}
	}
	return nil
}

// tablePrefix is the one that rocca.yaml has when it does not say another.
const tablePrefix = "matomo_"

func (d database) open(a account) (mariadb.Conn, error) {
	return mariadb.Open(mariadb.Server{Host: d.Host, Port: d.Port, CA: d.ca, User: a.user, Password: a.password})
}

// lock makes this instance the only one that provisions, for as long as the
// connection lives. release is nil when another one does.
func (d database) lock(ctx context.Context, administrator account) (release func(), err error) {
	server, err := d.open(administrator)
	if err != nil {
		return nil, err
	}
	conn, err := server.DB.Conn(ctx)
	if err != nil {
		return nil, errors.Join(server.Server.Explain(err), server.Close())
	}
	var got sql.NullInt64
	err = conn.QueryRowContext(ctx, "SELECT GET_LOCK('rocca-provision', 0)").Scan(&got)
	if err != nil {
		err = server.Server.Explain(err)
	}
	if err != nil || got.Int64 != 1 {
		return nil, errors.Join(err, conn.Close(), server.Close())
	}
	return func() { _, _ = conn.Close(), server.Close() }, nil
}
