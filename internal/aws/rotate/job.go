package rotate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/blueprint"
	"rocca/internal/secret"
)

// job is a rotation that the app secret has a part in.
type job struct {
	d    *Deployment
	kind Kind
	at   standing // when it was planned

	old, next string          // versions of the app secret
	slot      string          // of the database's accounts that next goes to
	known     map[string]bool // servers that answered when it was planned
}

// Names of steps.
const (
	stepMake    = "new secret"
	stepPrepare = "make it work"
	stepWave    = "servers"
	stepMove    = "servers to come"
	stepFinish  = "end of the old"
	stepBack    = "servers to come, back"
	stepReturn  = "servers, back"
	stepUndo    = "end of the new"
	stepEnd     = "mark"
	stepRepair  = "make the old work"
)

func (d *Deployment) planJob(ctx context.Context, p *Plan) error {
	at, err := d.look(ctx)
	if err != nil {
		return err
	}
	under, slot := at.kind()
	if at.stage() != idle && p.Action != Repair && (under != p.Kind || p.Action == Begin) {
		return fmt.Errorf("a rotation of %s is under way: %s\nhint: %s goes on, %s goes back", under, stages[at.stage()], d.command(under, Resume), d.command(under, Abort))
	}
	all, err := d.servers(ctx)
	if err != nil {
		return err
	}
	j := &job{d: d, kind: p.Kind, at: at, known: map[string]bool{}}
	for _, s := range all {
		p.Servers = append(p.Servers, s.ID)
		j.known[s.ID] = s.silent == nil
	}
	p.job = j
	switch {
	case at.stage() != idle && under != p.Kind: // repair, which knows the database only
		p.State = "a rotation of " + string(under) + " is under way"
	case at.stage() == idle:
		if err := j.planIdle(p, all); err != nil {
			return err
		}
	default:
		p.State = stages[at.stage()]
		j.old, j.next, j.slot = at.current, at.next, slot
		if at.stage() != begun {
			j.old = at.previous
		}
		if j.old == "" {
			return errors.New("the version of the app secret before the current one is gone")
		}
	}
	switch p.Action {
	case Abort:
		p.Steps = j.backward()
	case Repair:
		p.Steps = j.repair()
	default:
		if j.next != "" {
			p.Steps = j.forward()
		}
	}
	if len(p.Steps) > 0 {
		p.Notice = notices[p.Kind]
		p.Began = begunHere(d.Journals, p)
	}
	return nil
}

// planIdle plans when no rotation is under way.
func (j *job) planIdle(p *Plan, all []server) error {
	j.old = j.at.current
	if p.Action == Abort {
		return fmt.Errorf("no rotation is under way, and nothing can be taken back\nhint: %s", j.d.command(j.kind, Begin))
	}
	for _, s := range all {
		if s.silent != nil {
			return fmt.Errorf("%s does not say what it uses, and would be left without an account: %w", s, s.silent)
		}
	}
	if p.Action == Repair {
		return nil
	}
	for _, s := range all {
		switch {
		case s.Version == j.at.current && s.Slot == all[0].Slot:
		case p.Action == Resume:
			p.State = "servers use different passwords"
			p.Steps = []Step{j.step(stepWave, "each server that does not use the current passwords goes over to them", time.Duration(len(all))*usualSwitch, j.level)}
		default:
			return fmt.Errorf("%s uses version %s of the app secret (accounts in slot %s), and servers boot with version %s\nhint: %s has all use the current one", s, s.Version, s.Slot, j.at.current, j.d.command(j.kind, Resume))
		}
	}
	if p.Action == Resume {
		return nil
	}
	j.next = newVersion()
	j.slot = string(blueprint.Slot(all[0].Slot).Other())
	return nil
}

// How long parts of it take, by experience on AWS.
const (
	usualCall    = 2 * time.Second
	usualPrepare = 40 * time.Second // most of it until a right is known everywhere
	usualSwitch  = 20 * time.Second // for each server
	usualFinish  = 5 * time.Minute
	usualModify  = time.Minute
)

func (j *job) step(name, text string, usual time.Duration, do func(context.Context, string) error) Step {
	return Step{Name: name, Text: text, Usual: usual, do: func(ctx context.Context) error { return do(ctx, name) }}
}

// forward are the steps from where the rotation is to its end.
func (j *job) forward() []Step {
	var steps []Step
	add := func(name, text string, usual time.Duration, do func(context.Context, string) error) {
		steps = append(steps, j.step(name, text, usual, do))
	}
	servers := time.Duration(len(j.known)) * usualSwitch
	h := j.texts()
	at := j.at.stage()
	if at == idle {
		add(stepMake, "a version of the app secret with "+h.make+", that nothing uses yet", usualCall, j.make)
	}
	if at <= begun {
		if h.prepare != "" {
			add(stepPrepare, h.prepare, usualPrepare, j.prepare)
		}
		add(stepWave, h.wave, servers, func(ctx context.Context, step string) error { return j.toAll(ctx, step, j.next) })
		add(stepMove, "those that boot from now on use the new secret", usualCall, func(ctx context.Context, _ string) error {
			return j.d.move(ctx, labelCurrent, j.old, j.next)
		})
	}
	add(stepFinish, h.finish, usualFinish, j.finish)
	add(stepEnd, "the rotation is marked as done", usualCall, j.end)
	return steps
}

// backward are the steps from where the rotation is to where it began.
func (j *job) backward() []Step {
	var steps []Step
	add := func(name, text string, usual time.Duration, do func(context.Context, string) error) {
		steps = append(steps, j.step(name, text, usual, do))
	}
	h := j.texts()
	if j.at.stage() == retiring && h.restore != "" {
		add(stepRepair, h.restore, usualPrepare, j.restore)
	}
	if j.at.stage() >= moved {
		add(stepBack, "those that boot from now on use the old secret again", usualCall, func(ctx context.Context, _ string) error {
			return j.d.move(ctx, labelCurrent, j.next, j.old)
		})
	}
	add(stepReturn, h.back, time.Duration(len(j.known))*usualSwitch, func(ctx context.Context, step string) error { return j.toAll(ctx, step, j.old) })
	add(stepUndo, h.undo, usualFinish, j.undo)
	add(stepEnd, "the new version of the app secret is given up", usualCall, j.end)
	return steps
}

// repair are the steps after a database was restored to an older point, which
// has older passwords. In the middle of a rotation there are two sets of them.
func (j *job) repair() []Step {
	right := "one server gets the right to be the database's administrator, for this, and "
	steps := []Step{j.step(stepRepair, right+"sets Matomo's accounts to what the app secret says", usualPrepare, func(ctx context.Context, step string) error {
		return j.d.asAdministrator(ctx, step, func(ctx context.Context, host server) (bool, error) {
			return false, j.d.host(ctx, host.ID, nil, "repair")
		})
	})}
	if j.next != "" && j.at.stage() == begun {
		steps = append(steps, j.step(stepPrepare, right+"sets those in slot "+j.slot+", too", usualPrepare, j.prepare))
	}
	if j.at.stage() == idle {
		steps = append(steps, j.step(stepWave, "each server that does not use the current passwords goes over to them", time.Duration(len(j.known))*usualSwitch, j.level))
	}
	return steps
}

// wording is what the steps of a kind do; empty: it has none such.
type wording struct{ make, prepare, wave, finish, restore, back, undo string }

func (j *job) texts() wording {
	switch j.kind {
	case Database:
		return wording{
			make:    "new random passwords of the accounts",
			prepare: fmt.Sprintf("one server gets the right to be the database's administrator, for this, and makes the accounts in slot %s; each is tried", j.slot),
			wave:    "one after the other goes over to the new accounts, and is tried; the old ones go on to work",
			finish:  fmt.Sprintf("when no session uses them any more (at most %s), the accounts in slot %s are locked", minutes(j.d.Wait), j.oldSlot()),
			restore: fmt.Sprintf("one server gets the right to be the database's administrator, for this, and makes the accounts in slot %s work again", j.oldSlot()),
			back:    "one after the other goes back to the old accounts",
			undo:    fmt.Sprintf("when no session uses them any more (at most %s), the accounts in slot %s are locked", minutes(j.d.Wait), j.slot),
		}
	case Cache:
		return wording{
			make:    "a new random password of the cache",
			prepare: "the cache takes the new password beside the old one",
			wave:    "one after the other goes over to the new password, and is tried",
			finish:  "when all servers use the new one, the cache takes no other any more",
			restore: "the cache takes the old password beside the new one again",
			back:    "one after the other goes back to the old password",
			undo:    "the cache takes the old password only",
		}
	}
	return wording{
		make:   "a new random salt",
		wave:   "all at once get the new salt",
		finish: "servers that have just booted get it, too",
		back:   "all at once go back to the old salt",
		undo:   "servers that have just booted do so, too",
	}
}

var notices = map[Kind][]string{
	Database: {"users notice nothing: hits and logins go on"},
	Cache:    {"users notice nothing: hits go on to be taken"},
	Salt: {
		"everybody is logged out, and once more when it is taken back",
		"all API tokens (token_auth) stop working and have to be made anew: trackers that send one, dashboards, imports",
		"for some seconds servers have different salts, and who logs in then may have to do so again",
	},
}

func (j *job) oldSlot() string { return string(blueprint.Slot(j.slot).Other()) }

// unchanged is an error when another rotation has been here since this one was
// planned.
func (j *job) unchanged(ctx context.Context) error {
	now, err := j.d.look(ctx)
	if err != nil {
		return err
	}
	if now != j.at {
		return errors.New("the app secret has changed since this was planned: is somebody else at it?\nhint: run the same command again")
	}
	return nil
}

// ours is an error when what this rotation has made is not marked as under way
// any more.
func (j *job) ours(ctx context.Context) error {
	now, err := j.d.look(ctx)
	if err != nil {
		return err
	}
	if now.next != j.next || now.label != labelOf(j.kind, j.slot) {
		return errors.New("another rotation has begun or ended meanwhile: is somebody else at it?")
	}
	return nil
}

// make reads the current secret and puts another one beside it.
func (j *job) make(ctx context.Context, _ string) error {
	current, err := j.d.value(ctx, j.old)
	if err != nil {
		return err
	}
	if j.kind == Database {
		slot, err := slotOf(current)
		if err != nil {
			return err
		}
		if slot != j.oldSlot() {
			return fmt.Errorf("servers use accounts in slot %s, and the app secret says %s\nhint: %s", j.oldSlot(), slot, j.d.command(j.kind, Resume))
		}
	}
	next, err := renewed(current, j.kind, j.slot)
	if err != nil {
		return err
	}
	if err := j.unchanged(ctx); err != nil {
		return err
	}
	if err := j.d.put(ctx, j.d.Secret, j.next, next, labelPending, labelOf(j.kind, j.slot)); err != nil {
		return fmt.Errorf("put a new version into the app secret: %w", client.Explain(err))
	}
	return j.ours(ctx)
}

// prepare makes the new passwords work beside the old ones.
func (j *job) prepare(ctx context.Context, step string) error {
	return j.both(ctx, step, j.next)
}

// restore makes the old passwords work again.
func (j *job) restore(ctx context.Context, step string) error {
	return j.both(ctx, step, j.old)
}

// both has the passwords of both versions work, of which those of version may
// not yet.
func (j *job) both(ctx context.Context, step, version string) error {
	if j.kind == Cache {
		return j.cacheTakes(ctx, step, j.old, j.next)
	}
	return j.d.asAdministrator(ctx, step, func(ctx context.Context, host server) (bool, error) {
		return false, j.d.host(ctx, host.ID, nil, "prepare", "--version", version)
	})
}

// toAll has all servers use a version. Those that answered before must; others
// boot, and are looked after by settle.
func (j *job) toAll(ctx context.Context, step, version string) error {
	if err := j.ours(ctx); err != nil {
		return err
	}
	silent, err := j.d.wave(ctx, step, version, j.kind == Salt)
	if err != nil {
		return err
	}
	for _, s := range silent {
		if j.known[s.ID] {
			return fmt.Errorf("%s does not answer any more: %w", s, s.silent)
		}
	}
	return nil
}

// level has all servers use the current version.
func (j *job) level(ctx context.Context, step string) error {
	silent, err := j.d.wave(ctx, step, j.at.current, j.kind == Salt)
	if err == nil && len(silent) > 0 {
		err = fmt.Errorf("%s does not answer: %w", silent[0], silent[0].silent)
	}
	return err
}

// settle returns when every server uses a version, and then work is done. Both
// are tried again as long as there is time: servers boot, jobs run. What work
// waits for it tells as an error.
func (j *job) settle(ctx context.Context, step, version string, work func(context.Context) error) error {
	for end := time.Now().Add(j.d.Wait); ; {
		if err := j.ours(ctx); err != nil {
			return err
		}
		silent, err := j.d.wave(ctx, step, version, j.kind == Salt)
		switch {
		case err == nil && len(silent) > 0:
			err = fmt.Errorf("%s does not answer yet: %s", silent[0], firstLine(silent[0].silent))
		case err == nil:
			err = work(ctx)
		}
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited %s: %w", minutes(j.d.Wait), err)
		}
		j.d.note(step, "%s", firstLine(err))
		if err := j.d.rest(ctx); err != nil {
			return err
		}
	}
	// One that came up in the last moment.
	return j.toAll(ctx, step, version)
}

// finish takes the old passwords away, when nothing uses them any more.
func (j *job) finish(ctx context.Context, step string) error {
	if err := j.unpend(ctx); err != nil {
		return err
	}
	return j.only(ctx, step, j.next, j.oldSlot())
}

// undo takes the new passwords away again, when nothing uses them any more.
func (j *job) undo(ctx context.Context, step string) error {
	return j.only(ctx, step, j.old, j.slot)
}

// only has nothing but the passwords of one version work, when every server uses
// it. unused is the slot of the others, in the database.
func (j *job) only(ctx context.Context, step, version, unused string) error {
	return j.settle(ctx, step, version, func(ctx context.Context) error {
		switch j.kind {
		case Database:
			return j.retire(ctx, step, unused)
		case Cache:
			return j.cacheOnly(ctx, step, version)
		}
		return nil
	})
}

// retire locks the accounts of a slot. The host refuses while the database has
// sessions of theirs.
func (j *job) retire(ctx context.Context, step, slot string) error {
	return j.d.asAdministrator(ctx, step, func(ctx context.Context, host server) (bool, error) {
		var answer struct{ Sessions int }
		err := j.d.host(ctx, host.ID, &answer, "retire", "--slot", slot)
		return answer.Sessions > 0, err
	})
}

// unpend takes the label off that says that the old passwords work still.
func (j *job) unpend(ctx context.Context) error {
	now, err := j.d.look(ctx)
	if err != nil || !now.pending || now.next != j.next {
		return err
	}
	return j.d.move(ctx, labelPending, j.next, "")
}

// end takes the labels off. Nothing is under way then.
func (j *job) end(ctx context.Context, _ string) error {
	if err := j.unpend(ctx); err != nil {
		return err
	}
	return j.d.move(ctx, labelOf(j.kind, j.slot), j.next, "")
}

// cachePasswordOf reads the password of the cache in a version.
func (j *job) cachePasswordOf(ctx context.Context, version string) (secret.Secret, error) {
	value, err := j.d.value(ctx, version)
	if err != nil {
		return secret.Secret{}, err
	}
	return cachePassword(value)
}
