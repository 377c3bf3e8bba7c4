package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rocca/internal/collect/mountinfo"

	"golang.org/x/sys/unix"
)

// Clone boots a server that stands on a still tree: what it changes is its own.
// Nothing outside reaches it; work is done in it with Server.Run. Several may
// be booted at once. Down removes it, also half-made; so does Sweep once this
// process is gone, unless it was kept.
func (t *Still) Clone(ctx context.Context, name string) (*Server, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, nameLock(name), func() {})
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := os.Stat(t.tree()); err != nil {
		return nil, fmt.Errorf("clone %s: its tree is gone: %w", t.Of, err)
	}
	s, err := t.reserveClone(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := t.mount(ctx, s); err != nil {
		return s, fmt.Errorf("clone %s: %w", t.Of, err)
	}
	if err := s.nameIt(); err != nil {
		return s, err
	}
	if err := s.boot(ctx, func(string, ...any) {}); err != nil {
		return s, err
	}
	s.Complete, s.State = true, StateRunning
	return s, s.save()
}

// reserveClone makes the directory of a clone. It gets its name only when it
// tells whose it is: Sweep never finds one that it cannot judge.
func (t *Still) reserveClone(ctx context.Context, name string) (*Server, error) {
	unlock, err := lockStills(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	own, err := identify(os.Getpid())
	if err != nil {
		return nil, err
	}
	s := &Server{
		Name: name, Debian: t.Debian, Weak: t.Weak, Bare: t.Bare, Twin: t.Of, Still: t.dir, Maker: own,
		State: StateIncomplete, Created: time.Now().UTC().Truncate(time.Second),
	}
	s.Root = filepath.Join(s.dir(), "root")
	if err := os.MkdirAll(stillsDir, 0o700); err != nil {
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	making, err := os.MkdirTemp(stillsDir, "clone-")
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	if err := errors.Join(s.saveIn(making), os.Rename(making, s.dir())); err != nil {
		return nil, errors.Join(fmt.Errorf("make %s: %w", name, err), os.RemoveAll(making))
	}
	return s, nil
}

// overlayOptions make the tree of a clone behave as any other: directories of
// the still tree can be renamed (redirect_dir), and a changed owner or mode does
// not copy the file (metacopy). Nothing of it needs to outlive a power cut
// (volatile).
const overlayOptions = "redirect_dir=on,metacopy=on,volatile,lowerdir=%s,upperdir=%s,workdir=%s"

// mount gives a clone its tree: the still one with a layer above it, or a copy
// of it where the host cannot do that.
func (t *Still) mount(ctx context.Context, s *Server) error {
	upper, scratch := s.dir()+"/upper", s.dir()+"/scratch"
	for _, dir := range []string{s.Root, upper, scratch} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if unix.Mount("overlay", s.Root, "overlay", 0, fmt.Sprintf(overlayOptions, t.tree(), upper, scratch)) == nil {
		return nil
	}
	if err := needSpace(stateDir, 3<<30); err != nil {
		return err
	}
	return s.copyTree(ctx, t.tree())
}

// unmount takes the layers of a clone apart. Whatever else is mounted there is
// not ours.
func unmount(dir string) error {
	mounted, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	if !isLayered(string(mounted), dir) {
		return nil
	}
	root := filepath.Join(dir, "root")
	err = whileBusy(5*time.Second, func() error { return unix.Unmount(root, unix.UMOUNT_NOFOLLOW) })
	if err != nil {
		return fmt.Errorf("unmount %s: %w\nhint: lsof +f -- %s shows who uses it", root, err, root)
	}
	return nil
}

// isLayered tells whether the root directory of a server is an overlay whose
// upper layer is that server's own.
func isLayered(mounted, dir string) bool {
	mounts, _ := mountinfo.Parse(mounted) // what cannot be read is not ours
	return slices.ContainsFunc(mounts, func(m mountinfo.Mount) bool {
		return m.Type == "overlay" && m.Point == filepath.Join(dir, "root") && slices.Contains(m.Options, "upperdir="+filepath.Join(dir, "upper"))
	})
}

// Keep leaves a clone to its owner: it goes on when this process has ended, and
// goes with Down. A restart of the host ends it for good.
func (s *Server) Keep() error {
	s.Maker = process{}
	return s.save()
}

// dropStill removes the still tree of a clone that was removed, when it was the
// last of it and nobody makes further ones.
func dropStill(ctx context.Context, dir string) error {
	if filepath.Dir(dir) != stillsDir {
		return nil // none, or kept for further runs
	}
	unlock, err := lockStills(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	still, err := openStill(dir)
	if err != nil || still.Maker.alive() {
		return nil // gone, or Sweep's
	}
	return still.Remove()
}
