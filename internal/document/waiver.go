package document

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Waiver is a finding that the owner accepts for a time.
type Waiver struct {
	ID     string `yaml:"id"`    // of the control
	Scope  string `yaml:"scope"` // subject of its evidence, may end in "*"; empty: all of it
	Reason string `yaml:"reason"`
	Owner  string `yaml:"owner"`
	Until  string `yaml:"until"` // last day, 2026-11-30
}

// WaiverKeys describe the keys of a list of waivers, below "waivers".
func WaiverKeys(id, scope, reason string) []Key {
	return []Key{
		{"waivers.id", "Control: see rocca controls.", id},
		{"waivers.scope", "Only evidence about this subject, which may end in *. Empty: all of the control.", scope},
		{"waivers.reason", "Why it is acceptable.", reason},
		{"waivers.owner", "Who accepts it.", "jane"},
		{"waivers.until", "Last day.", "2027-03-31"},
	}
}

// Day reads a date such as 2026-11-30, the zero time when it is none.
func Day(text string) time.Time {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}
	}
	return day
}

// Day checks a date.
func (r *Rules) Day(at, text string) {
	if Day(text).IsZero() {
		r.Report(at, "for example 2026-11-30", "%s is no date", Quote(text))
	}
}

var controlID = regexp.MustCompile(`^[A-Z]{2,3}-[0-9]{2}$`)

// Waivers checks a list of waivers.
func (r *Rules) Waivers(list []Waiver) {
	for i, waiver := range list {
		at := fmt.Sprintf("waivers[%d]", i)
		if !controlID.MatchString(waiver.ID) {
			r.Report(at+".id", "rocca controls lists them", "%s is no id of a control such as TLS-03", Quote(waiver.ID))
		}
		for _, needed := range []struct{ name, value string }{{"reason", waiver.Reason}, {"owner", waiver.Owner}} {
			if strings.TrimSpace(needed.value) == "" {
				r.Report(at, "every waiver has an id, a reason, an owner and a last day", "has no %s", needed.name)
			}
		}
		if star := strings.IndexByte(waiver.Scope, '*'); star >= 0 && star != len(waiver.Scope)-1 {
			r.Report(at+".scope", "", "has a * that is not at its end")
		}
		r.Day(at+".until", waiver.Until)
	}
}
