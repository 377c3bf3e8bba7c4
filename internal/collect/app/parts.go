package app

import (
	"fmt"
	"os"
	"regexp"

	"rocca/internal/facts"
	"rocca/internal/matomo/advisories"
)

// Advise tells what is publicly known to be wrong with an installed Matomo and
// the libraries that come with it. It asks nobody: the list is the program's
// own, so Debian is left to what apt offers.
func Advise(m facts.Matomo) (facts.Advisory, error) {
	known, err := advisories.Load()
	if err != nil {
		return facts.Advisory{}, err
	}
	a := facts.Advisory{Dated: known.Dated, Source: "rocca's list of the security releases of Matomo", Libraries: map[string]string{}}
	for _, flaw := range known.Of(m.Version) {
		f := facts.Flaw{ID: flaw.ID, Package: "matomo", Have: m.Version, Fixed: flaw.Fixed(), Severity: flaw.Severity, Reason: flaw.Reason}
		if flaw.Have == "" {
			a.Matomo = append(a.Matomo, f)
			continue
		}
		f.Package, f.Have, f.Fixed = flaw.Part, flaw.Have, "with Matomo "+flaw.Fixed()
		a.Parts = append(a.Parts, f)
	}
	top, err := os.OpenRoot(m.Real)
	if err != nil {
		return a, fmt.Errorf("list the libraries of %s: %w", m.Root, err)
	}
	defer top.Close()
	text, err := readIn(top, "vendor/composer/installed.php", sourceLimit)
	if err != nil {
		return a, fmt.Errorf("list the libraries of %s: %w", m.Root, err)
	}
	a.Libraries = libraries(text)
	return a, nil
}

var (
	packageLine = regexp.MustCompile(`(?m)^ {8}'([a-z0-9][a-z0-9_.-]*/[a-z0-9][a-z0-9_.-]*)' => array\(`)
	versionLine = regexp.MustCompile(`(?m)^ {12}'pretty_version' => '([^'\\]{1,80})',`)
)

// libraries reads the list that Composer writes beside the packages it
// installs (vendor/composer/installed.php). Packages without a version are
// only replaced by others, and left out.
func libraries(text []byte) map[string]string {
	found := map[string]string{}
	places := packageLine.FindAllSubmatchIndex(text, 2000)
	for i, place := range places {
		end := len(text)
		if i+1 < len(places) {
			end = places[i+1][0]
		}
		if version := versionLine.FindSubmatch(text[place[1]:end]); version != nil {
			found[string(text[place[2]:place[3]])] = string(version[1])
		}
	}
	return found
}
