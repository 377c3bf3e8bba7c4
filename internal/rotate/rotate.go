// Package rotate gives a Matomo server new secrets while it is in use.
//
// The accounts on a remote database server are in one of two slots. The other
// slot is made ready, the server goes over to it, and when nobody uses the first
// one any more it is locked. Until then both let in, so that whatever is killed
// in between leaves a server that works, and the same can be done again.
package rotate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"rocca/internal/blueprint"
	"rocca/internal/config"
	"rocca/internal/mariadb"
	"rocca/internal/matomo/ini"
	"rocca/internal/progress"
	"rocca/internal/secret"
)

// Host is this machine, as a rotation sees it. Accepts, Reload and Probe are how
// it is seen and moved; New fills them in.
type Host struct {
	Config config.Config
	Server mariadb.Server    // the remote database server, as nobody; zero: the local one
	Given  blueprint.Secrets // what the file has that secrets: in rocca.yaml names
	Now    blueprint.Secrets // what rocca up would set up the machine with
	Files  []blueprint.ConfigFile
	State  string // directory of the journal and of what goes on
	Stored string // blueprint.PasswordFile
	Tell   progress.Handler

	// Accepts tells whether the database server lets a login in.
	Accepts func(ctx context.Context, login string, password secret.Secret) (bool, error)
	// Try does with an account what Matomo does with it, and undoes it.
	Try func(ctx context.Context, a blueprint.RemoteAccount, password secret.Secret) error
	// Reload lets the pools read everything anew, and loses no request.
	Reload func(ctx context.Context) error
	// Probe asks tracker and console, and fails when one of them does not answer
	// as it should.
	Probe func(ctx context.Context) error
}

// DefaultState is where rotations of a server are recorded.
const DefaultState = "/var/lib/rocca/rotation"

// New is the machine that rocca runs on. now are the accounts that are known.
func New(c config.Config, server mariadb.Server, given, now blueprint.Secrets, tell progress.Handler) *Host {
	server.User, server.Password = "", secret.Secret{}
	h := &Host{
		Config: c, Server: server, Given: given, Now: now, Files: blueprint.ConfigFiles(c),
		State: DefaultState, Stored: blueprint.PasswordFile, Tell: tell,
	}
	h.Now.Version = given.Version
	h.Accepts, h.Try, h.Reload, h.Probe = server.Accepts, h.try, h.reload, h.probe
	return h
}

// Mixed is said of pools that are in different slots: a switch was killed.
const Mixed blueprint.Slot = "mixed"

// Account is what a host works with. A host whose database is its own has no
// slot: its accounts have no password.
type Account struct {
	Slot       blueprint.Slot            `json:"slot"`
	Version    string                    `json:"version"` // of the secret that it works with; empty: not known, or none
	Pools      map[string]blueprint.Slot `json:"pools,omitempty"`
	Unfinished string                    `json:"unfinished,omitempty"` // verb that was begun and has not ended
}

// Account looks what this host works with.
func (h *Host) Account() (Account, error) {
	unfinished, err := h.unfinished()
	if err != nil {
		return Account{}, err
	}
	a := Account{Unfinished: unfinished, Version: h.Now.Version}
	if !h.Config.Database.Remote() {
		return a, nil
	}
	a.Pools = map[string]blueprint.Slot{}
	for _, f := range h.pools() {
		parsed, err := h.parse(f)
		if err != nil {
			return a, err
		}
		login, _ := parsed.Get("database", "username")
		slot, err := slotOf(login, f.User)
		if err != nil {
			return a, fmt.Errorf("look at %s: %w", f.Path, err)
		}
		if a.Pools[f.User] = slot; a.Slot != "" && a.Slot != slot {
			slot = Mixed
		}
		a.Slot = slot
		if password, _ := parsed.Get("database", "password"); slot != normal(h.Now.Slot) || password != h.Now.Accounts[f.User].Reveal() {
			a.Version = "" // that of the file is not what the pool works with
		}
	}
	return a, nil
}

// normal names the slot that no slot means.
func normal(s blueprint.Slot) blueprint.Slot {
	if s == "" {
		return blueprint.SlotA
	}
	return s
}

func slotOf(login, user string) (blueprint.Slot, error) {
	for _, slot := range []blueprint.Slot{blueprint.SlotA, blueprint.SlotB} {
		if slot.Login(user) == login {
			return slot, nil
		}
	}
	return "", fmt.Errorf("it logs in as %q, which is none of Matomo's accounts\nhint: rocca up", login)
}

// pools are the files that the pools read; those of migrations come after them.
func (h *Host) pools() []blueprint.ConfigFile { return h.Files[:2] }

func (h *Host) parse(f blueprint.ConfigFile) (ini.File, error) {
	text, err := read(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return ini.File{}, fmt.Errorf("read %s: it is not there\nhint: rocca up", f.Path)
	}
	if err != nil {
		return ini.File{}, err
	}
	parsed, err := ini.Parse(text)
	if err != nil {
		return ini.File{}, fmt.Errorf("read %s: %w", f.Path, err)
	}
	return parsed, nil
}

// uses tells whether a pool of this host, or what rocca up would set up, is in a
// slot.
func (h *Host) uses(slot blueprint.Slot) (bool, error) {
	a, err := h.Account()
	if err != nil {
		return false, err
	}
	for _, used := range a.Pools {
		if used == slot {
			return true, nil
		}
	}
	return len(h.Now.Accounts) > 0 && normal(h.Now.Slot) == slot, nil
}

// step tells and records that something begins. It comes before what it names.
func (h *Host) step(verb, step, text string) error {
	if err := h.record(line{Verb: verb, Step: step, Text: text}); err != nil {
		return err
	}
	h.Tell.Tell(progress.Event{Kind: progress.Note, Step: verb, Text: text})
	return nil
}

// does records a verb: that it begins, and how it ends. Of one that was killed
// there is no end.
func (h *Host) does(verb string, s blueprint.Secrets, do func() error) error {
	if err := h.record(line{Verb: verb, Step: begins, Slot: s.Slot, Version: s.Version}); err != nil {
		return err
	}
	err := do()
	end := line{Verb: verb, Step: ends, Slot: s.Slot, Version: s.Version}
	if err != nil {
		end.Err = err.Error()
	}
	return errors.Join(err, h.record(end))
}

// patience is how long this host waits for another one that makes accounts, and
// for the answers of a probe.
const patience = time.Minute
