package demo

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
)

// Dir is where a still tree is.
func (t *Still) Dir() string { return t.dir }

// Tree is the root directory of a still tree.
func (t *Still) Tree() string { return t.tree() }

// Forget removes a still tree that is kept for further runs.
func (t *Still) Forget() error { return errors.Join(removeTree(t.dir), os.Remove(t.dir+".lock")) }

// IsFrozen tells whether a server stands still.
func IsFrozen(name string) bool {
	_, err := os.Stat((&Server{Name: name}).frozenFile())
	groups, _ := ownCgroupDirs(machineName(name))
	for _, dir := range groups {
		if hasEvent(dir, "frozen 1") {
			return true
		}
	}
	return err == nil
}

// Stills lists the still trees of this process, and of those that are gone.
func Stills() []string {
	dirs, _ := filepath.Glob(stillsDir + "/*")
	return slices.DeleteFunc(dirs, func(dir string) bool {
		still, err := openStill(dir)
		return err == nil && still.Maker.PID != os.Getpid() && still.Maker.alive()
	})
}
