package change

import (
	"bytes"
	"context"
	"crypto/md5" // dpkg's own record of configuration files
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rocca/internal/progress"
	"rocca/internal/run"
)

// Maintainer scripts remove whole directories when a package is purged, such as
// /etc/nginx, whoever put files there. What people put there is kept.

// peoples tells whether a path lies where people put files of their own into
// directories of packages.
func peoples(path string) bool {
	return strings.HasPrefix(path, "/etc/") || strings.HasPrefix(path, "/var/www/")
}

// fingerprint tells a file or link from a later one at its path; it is empty
// for anything else.
func fingerprint(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 {
		return "", nil
	}
	now, err := look(path, nil)
	if err != nil {
		return "", err
	}
	if now.Type == symlink {
		return "-> " + now.Target, nil
	}
	return now.SHA256, nil
}

// belongings lists files and links in the packages' directories that neither
// the packages nor their installation made as they are now.
func belongings(c contents, left residue, shipped map[string]string) ([]string, error) {
	var found []string
	add := func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() && entry.Type()&fs.ModeSymlink == 0 {
			return err
		}
		theirs, err := c.theirs(path, left, shipped)
		if theirs {
			found = append(found, path)
		}
		return err
	}
	for _, top := range append(c.directories(), left.Paths...) {
		if !peoples(top) || inRegister(top) {
			continue
		}
		// What a link leads to is not the packages' to remove.
		if real, err := filepath.EvalSymlinks(top); isDir(top) && (err != nil || real != top) {
			continue
		}
		if err := filepath.WalkDir(top, add); err != nil {
			return nil, fmt.Errorf("look for files of others in %s: %w", top, err)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// directories lists those that the packages, and no others, list.
func (c contents) directories() []string {
	var found []string
	for path := range c.owned {
		if !c.others[path] && peoples(path) && isDir(path) {
			found = append(found, path)
		}
	}
	return found
}

// theirs tells whether a file or link is of somebody else than the packages.
func (c contents) theirs(path string, left residue, shipped map[string]string) (bool, error) {
	now, err := fingerprint(path)
	if err != nil || now == left.Made[path] {
		return false, err
	}
	if sum, isShipped := shipped[path]; isShipped {
		content, err := os.ReadFile(path)
		return md5Of(content) != sum, err
	}
	if c.owns(path) {
		return false, nil
	}
	into := func(target string) bool { return c.owns(target) || shipped[target] != "" || left.Made[target] != "" }
	return !slices.ContainsFunc(c.targets(path), into), nil
}

func md5Of(content []byte) string {
	sum := md5.Sum(content)
	return hex.EncodeToString(sum[:])
}

// shippedFiles reads the MD5 of each configuration file as packages brought it:
// dpkg's record, and that of ucf.
func shippedFiles(ctx context.Context) (map[string]string, error) {
	shown, err := run.Do(ctx, run.Command{Argv: []string{"dpkg-query", "-W", "-f", "${Conffiles}\n"}})
	if err != nil {
		return nil, err
	}
	shipped := map[string]string{}
	for line := range strings.Lines(string(shown.Stdout)) {
		// " /etc/nginx/nginx.conf 0123456789abcdef0123456789abcdef", and "obsolete" or nothing.
		if words := strings.Fields(line); len(words) >= 2 {
			shipped[words[0]] = words[1]
		}
	}
	byUCF, err := os.ReadFile("/var/lib/ucf/hashfile")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read ucf's record of configuration files: %w", err)
	}
	for line := range bytes.Lines(byUCF) {
		// "0123456789abcdef0123456789abcdef  /etc/php/8.2/fpm/php.ini"
		if words := strings.Fields(string(line)); len(words) == 2 {
			shipped[words[1]] = words[0]
		}
	}
	return shipped, nil
}

// rescue copies what belongs to others in the packages' directories, before
// they are purged, to where its owner finds it. It returns the copies by path.
func (u *undo) rescue(ctx context.Context, left residue) (map[string]string, error) {
	if u.options.KeepDir == "" {
		return nil, nil
	}
	c, err := packageContents(left.Packages)
	if err != nil {
		return nil, err
	}
	shipped, err := shippedFiles(ctx)
	if err != nil {
		return nil, err
	}
	found, err := belongings(c, left, shipped)
	copies := map[string]string{}
	for _, path := range found {
		if err == nil {
			copies[path], err = u.copyAside(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w\nhint: move it away, then run rocca again", err)
	}
	return copies, nil
}

// copyAside copies a file or link with owner, mode and attributes.
func (u *undo) copyAside(path string) (string, error) {
	var content []byte
	now, err := look(path, func(read []byte) (string, error) {
		content = read
		return "", nil
	})
	if err != nil {
		return "", err
	}
	target := u.keptAt(path)
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return "", fmt.Errorf("keep a file of others: %w", err)
	}
	return target, put(target, "."+filepath.Base(target)+".rocca", now, content)
}

// keptAt is where undo keeps a file that was at a path.
func (u *undo) keptAt(path string) string {
	return filepath.Join(u.options.KeepDir, fmt.Sprintf("run-%d", u.Run.ID), path)
}

// tellRescued removes the copies of what is still there after all, and tells
// of the others.
func (u *undo) tellRescued(copies map[string]string) error {
	var gone []string
	for path, kept := range copies {
		if _, err := os.Lstat(path); err != nil {
			gone = append(gone, path)
			continue
		}
		if err := os.Remove(kept); err != nil {
			return fmt.Errorf("remove a copy that is not needed: %w", err)
		}
		for above := filepath.Dir(kept); above != u.options.KeepDir && os.Remove(above) == nil; above = filepath.Dir(above) {
			continue
		}
	}
	if len(gone) == 0 {
		return nil
	}
	slices.Sort(gone)
	u.options.Tell.Tell(progress.Event{Kind: progress.Note, Text: fmt.Sprintf("files of others went with the packages (%d); they are kept in %s: %s", len(gone), u.keptAt("/"), strings.Join(gone, ", "))})
	return nil
}
