package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rocca/internal/facts"
)

// Usage is where traces of use are looked for.
type Usage struct {
	Rows       facts.Rows
	RowsSeen   bool      // false: Rows is empty because the database could not be asked
	AccessLogs []string  // paths of the front's; rotated and gzipped ones beside them are found
	Now        time.Time // traces in logs count for usageDays before it
	Lines      bool      // count the lines of each plugin: reads all of its code
}

// usageDays is how far back a trace in a log, or the hour that somebody
// switched a plugin on, counts as use.
const usageDays = 90

// Plugins observes the plugins of an installation: those in its directory, and
// those that are active without being there.
func Plugins(ctx context.Context, m facts.Matomo, u Usage) (map[string]facts.Plugin, error) {
	top, err := os.OpenRoot(m.Real)
	if err != nil {
		return nil, fmt.Errorf("look at the plugins of %s: %w", m.Root, err)
	}
	defer top.Close()
	names, err := fs.ReadDir(top.FS(), "plugins")
	if err != nil {
		return nil, fmt.Errorf("look at the plugins of %s: %w", m.Root, err)
	}
	found := map[string]facts.Plugin{}
	on, core := active(m), released(top)
	for _, entry := range names {
		if name := entry.Name(); entry.Type().IsRegular() || strings.HasPrefix(name, ".") {
			continue
		}
		found[entry.Name()] = plugin(ctx, top, m, entry.Name(), core)
	}
	for name := range on {
		p, there := found[name]
		if !there && plugins[name].always {
			continue // of another version
		}
		p.Active, p.Always = true, plugins[name].always
		found[name] = p
	}
	logged := readLogs(ctx, u.AccessLogs, u.Now.AddDate(0, 0, -usageDays))
	tables, elsewhere := thirdPartyTables(ctx, top, found), others(m, found)
	for name, p := range found {
		judge(name, &p, u, logged, tables[name], elsewhere)
		found[name] = p
	}
	if u.Lines {
		err = eachSource(ctx, m.Real, "plugins", func(s source, lines int) {
			if p, ok := found[s.plugin]; ok {
				p.Lines += lines
				found[s.plugin] = p
			}
		})
	}
	if main := m.Main(); len(main.Settings) == 0 {
		err = errors.Join(err, fmt.Errorf("tell which plugins are active: %s", main.Problem))
	}
	return found, err
}

// active are the plugins that Matomo loads: those of [Plugins], in
// config.ini.php or by default, and those that cannot be off. Without internet
// features two of them are not loaded.
func active(m facts.Matomo) map[string]bool {
	main := m.Main()
	on := map[string]bool{}
	for _, name := range main.Settings["Plugins.Plugins"] {
		on[name] = true
	}
	for name, p := range plugins {
		if p.always {
			on[name] = true
		}
	}
	if main.Setting("General.enable_internet_features") != "" && !main.On("General.enable_internet_features") {
		delete(on, "Marketplace")
		delete(on, "MobileMessaging")
	}
	delete(on, "")
	return on
}

// released are the plugins that the manifest in the tree names; without one,
// those that this program knows.
func released(top *os.Root) map[string]bool {
	core := map[string]bool{}
	manifest, err := readIn(top, "config/manifest.inc.php", manifestLimit)
	if err != nil {
		for name := range plugins {
			core[name] = true
		}
		return core
	}
	for line := range bytes.Lines(manifest) {
		path, ours := bytes.CutPrefix(bytes.TrimLeft(line, " \t"), []byte(`"plugins/`))
		name, _, below := bytes.Cut(path, []byte("/"))
		if ours && below && !core[string(name)] {
			core[string(name)] = true
		}
	}
	return core
}

func plugin(ctx context.Context, top *os.Root, m facts.Matomo, name string, core map[string]bool) facts.Plugin {
	p := facts.Plugin{Dir: filepath.Join(m.Real, "plugins", name), Core: core[name]}
	if text, err := readIn(top, "plugins/"+name+"/plugin.json", sourceLimit); err == nil {
		p.Version = pluginVersion(text)
	}
	if p.Core {
		p.Version = cmp.Or(p.Version, m.Version)
		return p
	}
	p.Risky, p.Changed = scan(ctx, top, "plugins/"+name)
	return p
}

// pluginVersion reads plugin.json; a text that is none tells no version.
func pluginVersion(text []byte) string {
	var described struct {
		Version any `json:"version"`
	}
	if json.Unmarshal(bytes.TrimPrefix(text, []byte("\ufeff")), &described) != nil {
		return ""
	}
	switch version := described.Version.(type) {
	case string:
		return version[:min(len(version), 100)]
	case float64:
		return strconv.FormatFloat(version, 'f', -1, 64)
	}
	return ""
}

// others finds use that is neither in the database nor in a log.
func others(m facts.Matomo, found map[string]facts.Plugin) map[string]string {
	traces := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(found)) { // of several the last, each time
		p := found[name]
		if p.Active && !p.Core && isFile(filepath.Join(m.Real, "plugins", name, "tracker.js")) {
			traces["tracker"] = "the plugin " + name + " extends the tracking script"
		}
		if p.Active && !p.Core {
			traces["third-party"] = "the plugin " + name + " is not of the release"
		}
	}
	dirs := []string{filepath.Join(m.Real, "misc")}
	for _, c := range m.Contexts {
		dirs = append(dirs, filepath.Join(c.Data, "geoip"), filepath.Join(c.Data, "misc"))
	}
	for _, dir := range dirs {
		if files, _ := filepath.Glob(escapePattern(dir) + "/*.mmdb"); len(files) > 0 {
			traces["geoip"] = "the database " + files[0]
		}
	}
	return traces
}

// judge sets what the traces of a plugin say about its use, in the order of
// their weight: rows, options, dashboards, logs.
func judge(name string, p *facts.Plugin, u Usage, logged logTraces, tables []string, other map[string]string) {
	k, isKnown := plugins[name]
	if k.always || k.needed != "" {
		p.Use = facts.Used
		if k.needed != "" {
			p.Needed, p.Evidence = []string{k.needed}, []string{"Matomo needs it: " + k.needed}
		} else {
			p.Evidence = []string{"Matomo does not work without it"}
		}
		return
	}
	use := func(trace string, at time.Time) {
		p.Evidence = append(p.Evidence, trace)
		if at.After(p.LastUsed) {
			p.LastUsed = at
		}
	}
	unseen := !u.RowsSeen
	for _, key := range append(slices.Clone(k.counts), tables...) {
		count, counted := u.Rows.Counts[key]
		if !counted {
			unseen = true
		}
		if count > 0 {
			use(many(count, "row")+" in "+key, time.Time{})
		}
	}
	for option, value := range u.Rows.Options {
		if usesOption(k.option, option, value) {
			use("option "+option, time.Time{})
		}
	}
	if at, err := strconv.ParseInt(u.Rows.Options["LastPluginActivation."+name], 10, 64); err == nil {
		if on := time.Unix(at, 0).UTC(); u.Now.Sub(on) < usageDays*24*time.Hour {
			use("switched on by hand on "+on.Format(time.DateOnly), on)
		}
	}
	if count := u.Rows.Dashboards[name]; count > 0 {
		use("a widget of it on "+many(int64(count), "dashboard"), time.Time{})
	}
	if trace := other[k.other]; k.other != "" && trace != "" {
		use(trace, time.Time{})
	}
	if trace := logged.of[name]; trace.count > 0 {
		use(many(int64(trace.count), "request")+" in the access log, last on "+trace.last.Format(time.DateOnly), trace.last)
	}
	slices.Sort(p.Evidence)
	switch {
	case len(p.Evidence) > 0:
		p.Use = facts.Used
	case unseen || !isKnown && (len(tables) == 0 || !logged.read) || k.silent:
		p.Use = facts.CannotTell
	default:
		p.Use = facts.NoEvidence
	}
}

func many(count int64, what string) string {
	if count == 1 {
		return "1 " + what
	}
	return strconv.FormatInt(count, 10) + " " + what + "s"
}

// usesOption tells whether an option is a trace: of the name that begins or
// ends so, with a value that begins as told after "=".
func usesOption(want, option, value string) bool {
	if want == "" || value == "" || value == "0" {
		return false
	}
	name, begin, _ := strings.Cut(want, "=")
	if !strings.HasPrefix(option, name) && (name[0] != '_' || !strings.HasSuffix(option, name)) {
		return false
	}
	return strings.HasPrefix(value, begin)
}
