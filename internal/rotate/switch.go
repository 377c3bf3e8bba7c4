package rotate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"rocca/internal/blueprint"
	"rocca/internal/change"
	"rocca/internal/config"
	"rocca/internal/prove/fastcgi"
	"rocca/internal/run"
	"rocca/internal/secret"
)

// Switched is what Switch answers.
type Switched struct {
	Slot    blueprint.Slot `json:"slot"`
	Version string         `json:"version"`
	Was     Account        `json:"was"`
	Changed bool           `json:"changed"` // a configuration file
}

// ErrNotTakenBack says that a switch failed, and going back failed, too.
var ErrNotTakenBack = errors.New("going back to what was before failed, too")

// Switch lets this host work with other secrets: accounts and salt, as far as
// they are given. It is not done before each account lets in, and taken back
// when tracker or console then do not answer.
func (h *Host) Switch(ctx context.Context, to blueprint.Secrets) (Switched, error) {
	if h.Config.Database.Remote() && len(to.Accounts) > 0 {
		to.Slot = normal(to.Slot)
	}
	s := Switched{Slot: to.Slot, Version: to.Version}
	err := h.does("switch", to, func() error {
		var err error
		if s.Was, err = h.Account(); err != nil {
			return err
		}
		if err := h.letIn(ctx, to); err != nil {
			return err
		}
		if err := h.sweep(); err != nil {
			return err
		}
		configs, kept, err := h.contents(to)
		if err != nil {
			return err
		}
		s.Changed = len(configs) > 0
		return h.goOver(ctx, to, configs, kept)
	})
	if err != nil {
		return s, fmt.Errorf("switch to other secrets: %w", err)
	}
	return s, nil
}

// letIn tries each account: what does not let in must not get into a
// configuration.
func (h *Host) letIn(ctx context.Context, to blueprint.Secrets) error {
	if !h.Config.Database.Remote() {
		return nil
	}
	for user, password := range to.Accounts {
		login := to.Slot.Login(user)
		accepted, err := h.Accepts(ctx, login, password)
		if err != nil {
			return err
		}
		if !accepted {
			return fmt.Errorf("the database server does not let %s in; nothing was changed\nhint: rocca rotate db repair puts it right, on AWS rocca aws rotate db repair", login)
		}
	}
	return nil
}

// sweep removes what a switch that was killed left half-written.
func (h *Host) sweep() error {
	names := []string{h.Stored}
	if h.Config.Secrets != "" {
		names = append(names, h.Config.Secrets)
	}
	for _, f := range h.Files {
		names = append(names, f.Path)
	}
	for _, name := range names {
		if err := remove(partOf(name)); err != nil {
			return fmt.Errorf("remove what was half-written: %w", err)
		}
	}
	return nil
}

// contents are the configuration files that change, and what they are now.
func (h *Host) contents(to blueprint.Secrets) (next, kept []file, err error) {
	for i, f := range h.Files {
		now, err := read(f.Path)
		if errors.Is(err, fs.ErrNotExist) && i >= len(h.pools()) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read %s: %w\nhint: rocca up", f.Path, err)
		}
		parsed, err := h.parse(f)
		if err != nil {
			return nil, nil, err
		}
		if password := to.Accounts[f.User]; h.Config.Database.Remote() && !password.IsZero() {
			parsed.Set("database", "username", to.Slot.Login(f.User))
			parsed.Set("database", "password", password.Reveal())
		}
		if !to.Salt.IsZero() {
			parsed.Set("General", "salt", to.Salt.Reveal())
		}
		content, err := parsed.Encode()
		if err != nil {
			return nil, nil, fmt.Errorf("write %s: %w", f.Path, err)
		}
		if bytes.Equal(content, now) {
			continue
		}
		next, kept = append(next, file{f.Path, content, f.Attr}), append(kept, file{f.Path, now, f.Attr})
	}
	return next, kept, nil
}

// stores are the files from which rocca up knows the secrets. They come last: a
// host that was killed before is brought back by rocca up to what works, too.
func (h *Host) stores(to blueprint.Secrets) ([]file, error) {
	root := change.Root(0o600)
	var all []file
	if h.Config.Database.Remote() && len(to.Accounts) > 0 {
		all = append(all, file{h.Stored, blueprint.EncodePasswords(to.Slot, to.Accounts), root})
	}
	given := h.Given
	if len(given.Accounts) > 0 && len(to.Accounts) > 0 {
		given.Accounts, given.Slot = to.Accounts, to.Slot
	}
	replace(&given.Salt, to.Salt)
	replace(&given.Superuser, to.Superuser)
	if h.Config.Secrets == "" || h.Given.Salt.IsZero() && h.Given.Superuser.IsZero() && len(h.Given.Accounts) == 0 {
		return all, nil
	}
	given.Version = to.Version
	text, err := given.Encode()
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", h.Config.Secrets, err)
	}
	return append(all, file{h.Config.Secrets, text, root}), nil
}

// replace changes a secret that was given when there is a new one.
func replace(given *secret.Secret, to secret.Secret) {
	if !given.IsZero() && !to.IsZero() {
		*given = to
	}
}

func (h *Host) goOver(ctx context.Context, to blueprint.Secrets, next, kept []file) error {
	stores, err := h.stores(to)
	if err != nil {
		return err
	}
	err = h.writeAll(next)
	if err == nil {
		err = h.settle(ctx)
	}
	if err != nil {
		return h.goBack(context.WithoutCancel(ctx), kept, err)
	}
	for _, f := range stores {
		now, err := read(f.path)
		if err == nil && bytes.Equal(now, f.content) {
			continue
		}
		if err := h.writeAll([]file{f}); err != nil {
			return err // the host works with the new secrets: the same again ends it
		}
	}
	h.remember(to)
	return nil
}

// remember is what rocca up would now set up the machine with.
func (h *Host) remember(to blueprint.Secrets) {
	if len(to.Accounts) > 0 {
		h.Now.Accounts, h.Now.Slot = to.Accounts, to.Slot
	}
	h.Now.Version = to.Version
}

func (h *Host) writeAll(files []file) error {
	for _, f := range files {
		if err := h.step("switch", "write", "writing "+f.path); err != nil {
			return err
		}
		if err := f.write(); err != nil {
			return err
		}
	}
	return nil
}

func (h *Host) settle(ctx context.Context) error {
	if err := h.step("switch", "reload", "letting the pools read it"); err != nil {
		return err
	}
	if err := h.Reload(ctx); err != nil {
		return err
	}
	if err := h.step("switch", "probe", "asking tracker and console"); err != nil {
		return err
	}
	return h.Probe(ctx)
}

// goBack brings back the configuration from before.
func (h *Host) goBack(ctx context.Context, kept []file, cause error) error {
	problems := []error{h.step("switch", "back", "going back")}
	for _, f := range kept {
		if now, err := read(f.path); err != nil || !bytes.Equal(now, f.content) {
			problems = append(problems, f.write())
		}
	}
	problems = append(problems, h.Reload(ctx))
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("%w\n%w: %w", cause, ErrNotTakenBack, err)
	}
	if err := h.Probe(ctx); err != nil {
		return fmt.Errorf("%w\nwhat was before is back, and does not answer either: %w", cause, err)
	}
	return fmt.Errorf("%w\nwhat was before is back", cause)
}

// reload lets the pools of this host start new workers; those at work end what
// they do, and requests wait in the socket meanwhile.
func (h *Host) reload(ctx context.Context) error {
	for _, role := range []string{config.RoleUI, config.RoleTracker} {
		if !h.Config.Does(role) {
			continue
		}
		if _, err := run.Do(ctx, run.Command{Argv: []string{"systemctl", "reload", "rocca-php@" + role + ".service"}}); err != nil {
			return fmt.Errorf("let the pool of the %s read its configuration: %w", role, err)
		}
	}
	return nil
}

// frontAddress is where this machine's own front listens.
const frontAddress = "127.0.0.1:443"

// probe asks through the front, as rocca up does, and the console's pool itself,
// which a front may not show to this machine.
func (h *Host) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := blueprint.Verify(ctx, h.Config, frontAddress); err != nil {
		return fmt.Errorf("ask this server: %w", err)
	}
	if !h.Config.Does(config.RoleUI) {
		return nil
	}
	return h.console(ctx)
}

func (h *Host) console(ctx context.Context) error {
	link := blueprint.NewLayout(h.Config, "").Link
	answer, err := fastcgi.Do(ctx, blueprint.Socket(config.RoleUI), fastcgi.Request{Params: map[string]string{
		"SCRIPT_FILENAME": link + "/index.php", "SCRIPT_NAME": "/index.php", "REQUEST_URI": "/index.php", "DOCUMENT_ROOT": link,
		"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1", "GATEWAY_INTERFACE": "CGI/1.1", "QUERY_STRING": "",
		"HTTP_HOST": h.Config.Domain[0], "SERVER_NAME": h.Config.Domain[0], "SERVER_PORT": "443", "HTTPS": "on", "REMOTE_ADDR": "127.0.0.1",
	}})
	if err != nil {
		return fmt.Errorf("ask the console: %w", err)
	}
	for header := range strings.Lines(answer.Header) {
		if status, is := strings.CutPrefix(strings.TrimSpace(header), "Status: "); is && !strings.HasPrefix(status, "2") && !strings.HasPrefix(status, "3") {
			return fmt.Errorf("ask the console: it answers %s", status)
		}
	}
	if len(answer.Body) == 0 && !strings.Contains(answer.Header, "Location:") {
		return errors.New("ask the console: it answers nothing")
	}
	return nil
}
