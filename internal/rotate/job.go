package rotate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"rocca/internal/blueprint"
	"rocca/internal/change"
	"rocca/internal/durable"
	"rocca/internal/secret"
)

// Kind is what a job on a server of one's own rotates.
type Kind string

// The kinds of job.
const (
	Accounts Kind = "db"
	Salt     Kind = "salt"
)

// Job is a rotation that has begun and not ended. What it goes from and to is
// kept until then, readable by root only: nothing that was killed loses a secret.
type Job struct {
	Kind  Kind      `json:"kind"`
	Began time.Time `json:"began"`

	From, To blueprint.Secrets `json:"-"`
}

// ErrNoJob says that no rotation has begun that has not ended.
var ErrNoJob = errors.New("no rotation is under way")

// Files of a job, in the directory of rotations.
const (
	jobFile  = "job.json"
	fromFile = "from.yaml"
	toFile   = "to.yaml"
)

// Begin makes new secrets and keeps them, before anything is done with them.
func (h *Host) Begin(kind Kind) (Job, error) {
	if j, err := h.Job(); !errors.Is(err, ErrNoJob) {
		if err == nil {
			err = fmt.Errorf("begin a rotation: one is under way (%s)\nhint: rocca rotate %[1]s resume, or abort", j.Kind)
		}
		return Job{}, err
	}
	j := Job{Kind: kind, Began: time.Now().UTC()}
	switch kind {
	case Accounts:
		j.From = blueprint.Secrets{Slot: normal(h.Now.Slot), Accounts: h.Now.Accounts}
		j.To = blueprint.Secrets{Slot: h.Now.Slot.Other(), Accounts: blueprint.NewPasswords()}
	case Salt:
		salt, err := h.salt()
		if err != nil {
			return j, err
		}
		j.From, j.To = blueprint.Secrets{Salt: salt}, blueprint.Secrets{Salt: blueprint.NewSalt()}
	}
	if err := h.makeState(); err != nil {
		return j, err
	}
	job, err := json.Marshal(j)
	if err != nil {
		return j, fmt.Errorf("begin a rotation: %w", err)
	}
	for _, part := range []struct {
		name    string
		secrets blueprint.Secrets
	}{{fromFile, j.From}, {toFile, j.To}} {
		text, err := part.secrets.Encode()
		if err != nil {
			return j, fmt.Errorf("begin a rotation: %w", err)
		}
		if err := h.keep(part.name, text); err != nil {
			return j, err
		}
	}
	return j, h.keep(jobFile, job) // with which it has begun
}

func (h *Host) keep(name string, content []byte) error {
	return file{filepath.Join(h.State, name), content, change.Root(0o600)}.write()
}

// Job is the rotation that is under way, else ErrNoJob.
func (h *Host) Job() (Job, error) {
	text, err := read(filepath.Join(h.State, jobFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Job{}, ErrNoJob
	}
	var j Job
	if err == nil {
		err = json.Unmarshal(text, &j)
	}
	if err != nil {
		return j, fmt.Errorf("read the rotation that is under way: %w", err)
	}
	for name, into := range map[string]*blueprint.Secrets{fromFile: &j.From, toFile: &j.To} {
		text, err := read(filepath.Join(h.State, name))
		if err == nil {
			*into, err = blueprint.DecodeSecrets(text)
		}
		if err != nil {
			return j, fmt.Errorf("read the rotation that is under way: %s: %w", name, err)
		}
	}
	j.From.Slot, j.To.Slot = slotOfJob(j.From), slotOfJob(j.To)
	return j, nil
}

func slotOfJob(s blueprint.Secrets) blueprint.Slot {
	if len(s.Accounts) == 0 {
		return ""
	}
	return normal(s.Slot)
}

// End forgets a job: it is done, or taken back.
func (h *Host) End() error {
	for _, name := range []string{jobFile, fromFile, toFile} {
		if err := remove(filepath.Join(h.State, name)); err != nil {
			return fmt.Errorf("end the rotation: %w", err)
		}
	}
	return durable.SyncDir(h.State)
}

// Forward does all of a job that is not done yet, but for what is left to
// retire: that is the caller's next.
func (h *Host) Forward(ctx context.Context, j Job, as Administrator) error {
	return h.work(ctx, j.To, as)
}

// Back undoes what a job did, but for what is left to retire. Old accounts that
// are locked already are opened again.
func (h *Host) Back(ctx context.Context, j Job, as Administrator) error {
	return h.work(ctx, j.From, as)
}

func (h *Host) work(ctx context.Context, with blueprint.Secrets, as Administrator) error {
	if len(with.Accounts) > 0 {
		if _, err := h.Prepare(ctx, with, as); err != nil {
			return err
		}
	}
	_, err := h.Switch(ctx, with)
	return err
}

// salt is the one that the console works with.
func (h *Host) salt() (secret.Secret, error) {
	parsed, err := h.parse(h.pools()[0])
	if err != nil {
		return secret.Secret{}, err
	}
	salt, _ := parsed.Get("General", "salt")
	if salt == "" {
		return secret.Secret{}, fmt.Errorf("read %s: there is no salt in it\nhint: rocca up", h.pools()[0].Path)
	}
	return secret.New(salt), nil
}
