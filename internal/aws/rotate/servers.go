package rotate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rocca/internal/aws/fleet"
	"rocca/internal/aws/instance"
	"rocca/internal/aws/provision"
	"rocca/internal/aws/shell"
)

// uses is what a server uses, as it says itself.
type uses struct {
	Slot       string `json:"slot"`       // of the database's accounts, or "mixed"; empty: the database is its own
	Version    string `json:"version"`    // of the app secret; empty: of none, or of several
	Unfinished string `json:"unfinished"` // verb that was begun there and has not ended; empty: none
}

// settledOn tells whether a server uses a version, and goes over to no other:
// who told it to may be gone, and it at work still.
func (u uses) settledOn(version string) bool { return u.Version == version && u.Unfinished != "switch" }

// server is an instance, and what it said when it was asked last.
type server struct {
	shell.Instance
	uses
	silent error // why it did not say
}

func (s server) String() string { return s.ID + " (" + s.Role + ")" }

// order is that in which servers are changed: first the worker, whom no visitor
// sees, last those that take hits.
var order = []string{"worker", "server", "servers", "interfaces", "trackers"}

// servers asks all servers what they use, at once.
func (d *Deployment) servers(ctx context.Context) ([]server, error) {
	list, err := d.fleet.InService(ctx)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("no server of the deployment runs\nhint: rocca aws info")
	}
	all := make([]server, len(list))
	var asked sync.WaitGroup
	for i, one := range list {
		all[i].Instance = one
		asked.Go(func() {
			all[i].silent = d.host(ctx, one.ID, &all[i].uses, "account")
			if all[i].silent == nil && all[i].Slot == "" && d.Database != "" {
				all[i].silent = errors.New("it does not say which accounts it uses")
			}
		})
	}
	asked.Wait()
	slices.SortStableFunc(all, func(a, b server) int { return cmp.Compare(slices.Index(order, a.Role), slices.Index(order, b.Role)) })
	return all, context.Cause(ctx)
}

// host runs a verb of rocca host on a server, and reads its answer into out,
// where that is not nil. A verb that fails may have answered none the less.
func (d *Deployment) host(ctx context.Context, id string, out any, verb ...string) error {
	argv := append([]string{instance.Program, "host"}, append(verb, "--json")...)
	text, err := d.fleet.Run(ctx, id, argv)
	if out == nil {
		return err
	}
	malformed := json.Unmarshal(text, out)
	if err != nil {
		return err
	}
	if malformed != nil {
		return fmt.Errorf("run rocca host %s on %s: its answer is no JSON\nhint: does it have this version of rocca? rocca aws deploy", verb[0], id)
	}
	return nil
}

// one is a server on which the work of the database's administrator is done: by
// their order the worker, where there is one that answers.
func (d *Deployment) one(ctx context.Context) (server, error) {
	all, err := d.servers(ctx)
	if err != nil {
		return server{}, err
	}
	for _, s := range all {
		if s.silent == nil {
			return s, nil
		}
	}
	return server{}, fmt.Errorf("no server answers: %w", all[0].silent)
}

// mostTries of what fails when a right, or a new password of the administrator,
// is not known everywhere yet. With the pauses it is about a minute.
const mostTries = 5

// asAdministrator does work on one server, which may read the secret of the
// database's administrator as long as that lasts. It is tried again, because
// the right is known everywhere after seconds only, and because RDS may change
// the administrator's password in between. Work that reports final is not.
func (d *Deployment) asAdministrator(ctx context.Context, step string, work func(ctx context.Context, host server) (final bool, err error)) (err error) {
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, provision.Revoke(ctx, d.Cloud, d.Right.Role))
	}()
	if err := provision.Grant(ctx, d.Cloud, d.Right, time.Now().Add(provision.Lasts)); err != nil {
		return err
	}
	for try := 1; ; try++ {
		host, err := d.one(ctx)
		if err != nil {
			return err
		}
		final, err := work(ctx, host)
		if err == nil || final || try == mostTries || ctx.Err() != nil {
			return err
		}
		d.note(step, "%s: try %d of %d failed: %s", host, try, mostTries, firstLine(err))
		if err := d.rest(ctx); err != nil {
			return err
		}
	}
}

func firstLine(err error) string {
	var exit *fleet.ExitError
	text := err.Error()
	if errors.As(err, &exit) && exit.Stderr != "" {
		text = strings.TrimPrefix(strings.TrimSpace(exit.Stderr), "rocca: ")
	}
	text, _, _ = strings.Cut(text, "\n")
	return text
}

// wave has each server use a version of the secret, one after the other, until
// all do that answer; those that do not are returned. It stops at the first
// that fails, and then the others use what they used.
func (d *Deployment) wave(ctx context.Context, step, version string, atOnce bool) (silent []server, err error) {
	changed := map[string]bool{}
	for {
		all, err := d.servers(ctx)
		if err != nil {
			return nil, err
		}
		var left []server
		silent = nil
		for _, s := range all {
			switch {
			case s.silent != nil:
				silent = append(silent, s)
			case s.settledOn(version):
			case changed[s.ID]:
				return silent, fmt.Errorf("change the passwords on %s: it says that it did, and uses version %s of the secret nevertheless", s, s.Version)
			default:
				left, changed[s.ID] = append(left, s), true
			}
		}
		if len(left) == 0 {
			return silent, nil
		}
		if atOnce {
			err = d.switchAtOnce(ctx, step, version, left)
		} else {
			err = d.switchInTurn(ctx, step, version, left)
		}
		if err != nil {
			return silent, err
		}
	}
}

func (d *Deployment) switchInTurn(ctx context.Context, step, version string, left []server) error {
	for i, s := range left {
		d.note(step, "%s, %d of %d", s, i+1, len(left))
		if err := d.switchOne(ctx, step, version, s); err != nil {
			return err
		}
	}
	return nil
}

func (d *Deployment) switchAtOnce(ctx context.Context, step, version string, left []server) error {
	d.note(step, "%d servers at once", len(left))
	failed := make([]error, len(left))
	var switched sync.WaitGroup
	for i, s := range left {
		switched.Go(func() { failed[i] = d.switchOne(ctx, step, version, s) })
	}
	switched.Wait()
	return errors.Join(failed...)
}

// Exit codes of rocca that matter here, see docs/exit-codes.md.
const (
	exitRollbackFailed = 6
	exitLocked         = 11
)

// switchOne has a server use a version of the secret. A server that is gone
// meanwhile needs none, and one where rocca is at work is waited for.
func (d *Deployment) switchOne(ctx context.Context, step, version string, s server) error {
	for try := 1; ; try++ {
		err := d.host(ctx, s.ID, nil, "switch", "--version", version)
		if err == nil {
			return nil
		}
		list, unseen := d.fleet.InService(ctx)
		if unseen == nil && !slices.ContainsFunc(list, func(i shell.Instance) bool { return i.ID == s.ID }) {
			return nil
		}
		var exit *fleet.ExitError
		switch {
		case !errors.As(err, &exit):
			return fmt.Errorf("change the passwords on %s: %w", s, err)
		case exit.Code == exitRollbackFailed:
			return fmt.Errorf("change the passwords on %s, where going back failed, too: %w\nhint: rocca aws ssh --instance %s", s, err, s.ID)
		case exit.Code != exitLocked || try == mostTries:
			return fmt.Errorf("change the passwords on %s, which goes on with those it had: %w", s, err)
		}
		d.note(step, "%s: %s", s, firstLine(err))
		if err := d.rest(ctx); err != nil {
			return err
		}
	}
}
