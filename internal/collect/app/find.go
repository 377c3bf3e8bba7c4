package app

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// findLimit is how many directories are looked at for an installation.
const findLimit = 5000

// usual are the places that instructions and packages put Matomo in.
var usual = []string{"/var/www/*", "/var/www/*/*", "/srv/*", "/srv/*/*", "/opt/*", "/opt/*/*", "/usr/share/matomo", "/usr/share/piwik"}

// Find lists the Matomo installations among the directories that a front
// serves (docroots, links in them are followed) and in the usual places, each
// by its path with links resolved, those of docroots first.
func Find(ctx context.Context, docroots []string) []string {
	return find(ctx, docroots, usual)
}

func find(ctx context.Context, docroots, patterns []string) []string {
	var candidates []string
	for _, docroot := range docroots {
		candidates = append(candidates, docroot)
		// A site often serves Matomo from a directory below its own.
		below, _ := filepath.Glob(escapePattern(docroot) + "/*")
		candidates = append(candidates, below...)
	}
	for _, pattern := range patterns {
		matches, _ := filepath.Glob(pattern)
		candidates = append(candidates, matches...)
	}
	var roots []string
	for _, candidate := range candidates[:min(len(candidates), findLimit)] {
		if ctx.Err() != nil {
			break
		}
		if !filepath.IsAbs(candidate) || !isMatomo(candidate) {
			continue
		}
		real, err := filepath.EvalSymlinks(candidate)
		if err == nil && !slices.Contains(roots, real) {
			roots = append(roots, real)
		}
	}
	return roots
}

// isMatomo tells whether a directory holds a Matomo, or a Piwik of old.
func isMatomo(dir string) bool {
	if !isFile(filepath.Join(dir, "core/Version.php")) {
		return false
	}
	return isFile(filepath.Join(dir, "matomo.php")) || isFile(filepath.Join(dir, "piwik.php"))
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func escapePattern(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}
