// Package advisories is what is publicly known to be wrong with versions of
// Matomo: CVEs, releases that the vendor called security releases without
// giving an identifier, and fixes of flaws that are told by Matomo's history
// alone. Most fixes have no CVE.
//
// The data is the file advisories.json of this package. Its sources are the
// CVE list (CVEProject/cvelistV5, vendors matomo and piwik, text matched, as
// most records name no package), OSV and the GitHub advisory database
// (Packagist matomo/matomo and piwik/piwik), Debian's security tracker,
// Matomo's changelog and its tags. To refresh it: read
// https://matomo.org/changelog/ for releases since "dated", and ask the CVE
// list for "matomo"; add a line for each flaw and each release; set "dated".
// The tests tell a line that is not well-formed.
package advisories

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"time"
)

//go:embed advisories.json
var file []byte

// Data is the list.
type Data struct {
	Dated    time.Time            // when it was last brought up to date
	Flaws    []Flaw               //
	Releases map[string]time.Time // by version: when it came out; zero when not known
}

// Flaw is one published weakness.
type Flaw struct {
	ID       string  `json:"id"`                 // "CVE-2026-78850"; "MATOMO-REL-5.3.2" for a security release without a CVE
	Part     string  `json:"part"`               // of Matomo, or the name of a library that comes with it
	Have     string  `json:"have,omitempty"`     // version of that library; empty: Matomo itself
	Severity string  `json:"severity,omitempty"` // "low", "medium", "high", "critical"; empty: not told
	Summary  string  `json:"summary"`
	Reason   string  `json:"reason,omitempty"` // why it does not matter, with who says so
	Ranges   []Range `json:"ranges"`           // of versions of Matomo
}

// Range are versions of Matomo, as in OSV's schema: from Introduced on ("0":
// from the first), before Fixed or up to Last.
type Range struct {
	Introduced string `json:"introduced"`
	Fixed      string `json:"fixed,omitempty"`
	Last       string `json:"last_affected,omitempty"`
}

// Load reads the list that this program carries.
func Load() (Data, error) { return parse(file) }

func parse(text []byte) (Data, error) {
	var raw struct {
		Dated    string            `json:"dated"`
		Flaws    []Flaw            `json:"flaws"`
		Releases map[string]string `json:"releases"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return Data{}, fmt.Errorf("read the list of advisories: %w", err)
	}
	dated, err := time.Parse(time.DateOnly, raw.Dated)
	if err != nil {
		return Data{}, fmt.Errorf("read the list of advisories: %w", err)
	}
	d := Data{Dated: dated, Flaws: raw.Flaws, Releases: make(map[string]time.Time, len(raw.Releases))}
	for version, date := range raw.Releases {
		released := time.Time{}
		if date != "" {
			if released, err = time.Parse(time.DateOnly, date); err != nil {
				return Data{}, fmt.Errorf("read the list of advisories: release %s: %w", version, err)
			}
		}
		d.Releases[version] = released
	}
	return d, nil
}

// Of lists the flaws of a version of Matomo, in the order of the list.
func (d Data) Of(version string) []Flaw {
	var found []Flaw
	for _, flaw := range d.Flaws {
		for _, r := range flaw.Ranges {
			if r.Holds(version) {
				found = append(found, flaw)
				break
			}
		}
	}
	return found
}

// Newest is the newest stable version that the list knows, also of what is
// fixed in it.
func (d Data) Newest() string {
	newest := ""
	consider := func(version string) {
		if Stable(version) && Compare(version, newest) > 0 {
			newest = version
		}
	}
	for version := range d.Releases {
		consider(version)
	}
	for _, flaw := range d.Flaws {
		consider(flaw.Fixed())
	}
	return newest
}

// Fixed is the version that ends the last range; empty when none does.
func (f Flaw) Fixed() string {
	fixed := ""
	for _, r := range f.Ranges {
		if Compare(r.Fixed, fixed) > 0 {
			fixed = r.Fixed
		}
	}
	return fixed
}

// Holds tells whether a version is in the range.
func (r Range) Holds(version string) bool {
	if version == "" || Compare(version, r.Introduced) < 0 {
		return false
	}
	if r.Fixed != "" {
		return Compare(version, r.Fixed) < 0
	}
	return r.Last == "" || Compare(version, r.Last) <= 0
}
