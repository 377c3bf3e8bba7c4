package host

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
)

// securityUpdates returns what the security suites offer for installed
// packages, and when the newest list of them was fetched.
func securityUpdates(root Root, sources []facts.AptSource, have installed) ([]facts.Upgrade, time.Time, error) {
	lists, err := root.list(aptLists)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read package lists: %w", err)
	}
	offered := map[string]string{}
	var newest time.Time
	var problem error
	read := map[string]bool{}
	for _, source := range sources {
		prefix := strings.TrimPrefix(listPrefix(source), aptLists)
		if !security(root, source) || read[prefix] {
			continue
		}
		read[prefix] = true
		if _, fetched, err := releaseFile(root, source); err == nil && fetched.After(newest) {
			newest = fetched
		}
		found := false
		for _, list := range lists {
			if !strings.HasPrefix(list, prefix) || !strings.Contains(list, "_Packages") {
				continue
			}
			if !strings.HasSuffix(list, "_Packages") {
				problem = errors.Join(problem, fmt.Errorf("read package list %s: it is packed", list))
				continue
			}
			found = true
			problem = errors.Join(problem, readOffers(root, list, have, offered))
		}
		if !found {
			problem = errors.Join(problem, fmt.Errorf("read the list of %s %s: it was never fetched\nhint: apt-get update", source.URI, source.Suite))
		}
	}
	var pending []facts.Upgrade
	for name, version := range offered {
		pending = append(pending, facts.Upgrade{Package: name, Have: have.packages[name].Version, Offered: version})
	}
	slices.SortFunc(pending, func(a, b facts.Upgrade) int { return strings.Compare(a.Package, b.Package) })
	return pending, newest, problem
}

// readOffers adds what a list has that is newer than what is installed.
func readOffers(root Root, list string, have installed, offered map[string]string) error {
	f, err := root.open(aptLists+list, unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("read package list: %w", err)
	}
	defer f.Close()
	err = readStanzas(f, func(s stanza) {
		p := have.packages[s.name]
		if !p.Installed || s.architecture != "all" && have.architecture[s.name] != "all" && s.architecture != have.architecture[s.name] {
			return
		}
		if compareVersions(s.version, p.Version) > 0 && compareVersions(s.version, offered[s.name]) > 0 {
			offered[s.name] = s.version
		}
	})
	if err != nil {
		return fmt.Errorf("read package list %s: %w", list, err)
	}
	return nil
}

// stamp is when a file was last written; zero when there is none.
func stamp(root Root, names ...string) time.Time {
	var newest time.Time
	for _, name := range names {
		stat, err := root.stat(name)
		if at := time.Unix(stat.Mtim.Unix()); err == nil && at.After(newest) {
			newest = at
		}
	}
	return newest
}
