package control

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// configurationSteps are the steps that write config.ini.php of a pool,
// wherever its state directory is.
var configurationSteps = []string{"file */config/config.ini.php"}

// demand is a setting of Matomo's configuration that must hold.
type demand struct {
	key   string // "General.force_ssl"
	usual string // what Matomo takes where nothing sets it (its config/global.ini.php)
	want  string // the value to set
	// holds tells whether a value is good; nil: it means the same as want, "0"
	// and "1" as Matomo reads a switch.
	holds func(value string) bool
	why   string // what it allows, where the key alone does not say it
}

func (d demand) met(value string) bool {
	switch {
	case d.holds != nil:
		return d.holds(value)
	case d.want == "0" || d.want == "1":
		return switchedOn(value) == (d.want == "1")
	}
	return value == d.want
}

// demands are settings that must hold in some of Matomo's contexts.
type demands struct {
	where func(*View) []facts.Context
	all   []demand
}

// judge fails where a setting does not hold.
func (d demands) judge(v *View) Verdict { return conclude(d.against(v)) }

// against is what does not hold, and what could not be read.
func (d demands) against(v *View) (against []model.Evidence, unread []string) {
	contexts, unread := readable(d.where(v))
	for _, unmet := range d.unmet(contexts) {
		against = append(against, unmet.evidence())
	}
	return against, unread
}

// unmet is a demand that a context does not meet. Its key is that of a site's
// own section, such as "Tracker_3.debug", when that is what does not hold.
type unmet struct {
	demand
	context facts.Context
}

func (d demands) unmet(contexts []facts.Context) []unmet {
	var found []unmet
	for _, c := range contexts {
		for _, demand := range d.all {
			for _, key := range withSites(c, demand.key) {
				if !demand.met(valueOf(c, key, demand.usual)) {
					found = append(found, unmet{demand.at(key), c})
				}
			}
		}
	}
	return found
}

// at is the same demand of another key.
func (d demand) at(key string) demand {
	d.key = key
	return d
}

// withSites adds to a key of the tracker those of sections that override it for
// one site: "Tracker_3.debug".
func withSites(c facts.Context, key string) []string {
	keys := []string{key}
	name, tracker := strings.CutPrefix(key, "Tracker.")
	if !tracker {
		return keys
	}
	for other := range c.Settings {
		section, otherName, _ := strings.Cut(other, ".")
		if strings.HasPrefix(section, "Tracker_") && otherName == name {
			keys = append(keys, other)
		}
	}
	slices.Sort(keys[1:])
	return keys
}

func (u unmet) evidence() model.Evidence {
	e := settingEvidence(u.context, u.key, u.usual)
	e.Want = shown(u.key, u.want)
	if u.why != "" {
		e.Have += ": " + u.why
	}
	return e
}

// changes are what an administrator would type to meet the demands.
func (d demands) changes(v *View) []Change {
	contexts, _ := readable(d.where(v))
	var changes []Change
	for _, u := range d.unmet(contexts) {
		changes = append(changes, setInConfiguration(v, u.context, u.key, u.want))
	}
	return changes
}

// setInConfiguration sets one value by Matomo's console, which reads the
// configuration of the first context; that of another one is edited.
func setInConfiguration(v *View, c facts.Context, key, value string) Change {
	section, name, _ := strings.Cut(key, ".")
	change := Change{Sentence: fmt.Sprintf("set %s in %s", shown(key, value), c.Config), Command: "sudoedit " + shellWord(c.Config)}
	if c.User != "" && c.Config == v.Matomo.Main().Config && v.Matomo.Root != "" {
		change.Command = console(v, "config:set", "--section="+section, "--key="+name, "--value="+value)
	}
	return change
}

// console is a command of Matomo's, run as the user that its PHP runs as: root
// would leave files in tmp that the user cannot write any more.
func console(v *View, arguments ...string) string {
	words := []string{"sudo", "-u", shellWord(v.Matomo.Main().User), "php", shellWord(v.Matomo.Root + "/console")}
	for _, argument := range arguments {
		words = append(words, shellWord(argument))
	}
	return strings.Join(words, " ")
}

// gaps tells what of Matomo's tables could not be read, by the topics of
// facts.Rows.Partial. What was sampled, or counted up to a limit, was read.
func gaps(v *View, topics ...string) []string {
	var unread []string
	for _, topic := range topics {
		why := v.Rows.Partial[topic]
		enough := slices.ContainsFunc([]string{"a sample of", "the newest", "counted up to", "estimated"}, func(begin string) bool { return strings.HasPrefix(why, begin) })
		if why != "" && !enough {
			unread = append(unread, topic+" of Matomo's tables: "+why)
		}
	}
	return unread
}

// serving are the contexts that answer to the outside: those of jobs and of
// migrations do not.
func serving(v *View) []facts.Context {
	return slices.DeleteFunc(slices.Clone(v.Matomo.Contexts), func(c facts.Context) bool { return c.Name == "cron" || c.Name == "admin" })
}

// forUsers are the contexts of the user interface and the API.
func forUsers(v *View) []facts.Context {
	return slices.DeleteFunc(serving(v), func(c facts.Context) bool { return c.Name == "tracker" })
}

// forHits are the contexts that record: the tracker's own, or else that of all.
func forHits(v *View) []facts.Context {
	own := slices.DeleteFunc(serving(v), func(c facts.Context) bool { return c.Name != "tracker" })
	if len(own) > 0 {
		return own
	}
	return serving(v)
}

// readable are the contexts whose settings are known, and why others are not,
// or not for sure.
func readable(contexts []facts.Context) (known []facts.Context, unread []string) {
	if len(contexts) == 0 {
		return nil, []string{"no configuration of Matomo was found"}
	}
	for _, c := range contexts {
		switch {
		case c.Problem != "":
			unread = append(unread, c.Problem)
		case len(c.Settings) == 0:
			unread = append(unread, "no setting of "+c.Config+" could be read")
		}
		if len(c.Settings) > 0 {
			known = append(known, c)
		}
	}
	return known, unread
}

// valueOf is a setting as Matomo reads it.
func valueOf(c facts.Context, key, usual string) string {
	if _, known := c.Settings[key]; !known {
		return usual
	}
	return c.Setting(key)
}

// switchedOn reads a switch as Matomo does.
func switchedOn(value string) bool {
	return !slices.Contains([]string{"", "0", "false", "off", "no"}, strings.ToLower(value))
}

// settingEvidence shows what a setting is, at its place.
func settingEvidence(c facts.Context, key, usual string) model.Evidence {
	path, line := c.Where(key)
	e := model.Evidence{Subject: path, Line: line, Have: shown(key, valueOf(c, key, usual))}
	if values := c.Settings[key]; len(values) > 1 {
		e.Have = shown(key, strings.Join(values, ", "))
	}
	if line == 0 {
		e.Have += " (not set here)"
	}
	return e
}

// shown is a setting as in the file: "[General] force_ssl = 1".
func shown(key, value string) string {
	section, name, _ := strings.Cut(key, ".")
	if value == "" {
		value = `""`
	}
	return fmt.Sprintf("[%s] %s = %s", section, name, value)
}

// pluginSetting is a system setting of a plugin, such as
// "Login.maxAllowedRetries": what the configuration fixes in a section of the
// plugin's name, else what Matomo stored, else the plugin's own default.
func pluginSetting(v *View, c facts.Context, name, usual string) (string, model.Evidence) {
	if _, fixed := c.Settings[name]; fixed {
		return c.Setting(name), settingEvidence(c, name, usual)
	}
	stored, set := v.Rows.Settings[name]
	if !set {
		return usual, model.Evidence{Subject: "plugin setting " + name, Have: fmt.Sprintf("%q (Matomo's default)", usual)}
	}
	return stored, model.Evidence{Subject: "plugin setting " + name, Have: fmt.Sprintf("%q", stored)}
}

// option is a row of Matomo's table option.
func option(v *View, name, usual string) (string, model.Evidence) {
	stored, set := v.Rows.Options[name]
	if !set {
		return usual, model.Evidence{Subject: "option " + name, Have: fmt.Sprintf("%q (Matomo's default)", usual)}
	}
	return stored, model.Evidence{Subject: "option " + name, Have: fmt.Sprintf("%q", stored)}
}

// wanting says what should be.
func wanting(e model.Evidence, want string) model.Evidence {
	e.Want = want
	return e
}

// fixedInConfiguration is how a setting of a plugin is set for good: the form
// in the user interface is read-only then.
func fixedInConfiguration(name, value string) func(*View) []Change {
	return func(v *View) []Change {
		if len(forUsers(v)) == 0 {
			return nil
		}
		return []Change{setInConfiguration(v, forUsers(v)[0], name, value)}
	}
}

// older tells whether a version is below another: "5.3.0-b2" is older than
// "5.3.0". Parts that are no numbers count as a pre-release.
func older(version, than string) bool {
	a, preA, _ := strings.Cut(version, "-")
	b, preB, _ := strings.Cut(than, "-")
	partsA, partsB := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(partsA), len(partsB)) {
		if x, y := part(partsA, i), part(partsB, i); x != y {
			return x < y
		}
	}
	if (preA == "") != (preB == "") {
		return preA != ""
	}
	return preA < preB
}

func part(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	number, _ := strconv.Atoi(parts[i])
	return number
}
