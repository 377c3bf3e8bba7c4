package app

import (
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/facts"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestPlugins(t *testing.T) {
	dir := tree(t, matomo(map[string]string{
		"config/manifest.inc.php":  "<?php\n\t\"plugins/Live/Live.php\" => array(\"1\", \"a\"),\n\"plugins/Tour/Tour.php\" => array(\"1\", \"a\"),\n",
		"plugins/Live/Live.php":    "<?php exec('not scanned');\n",
		"plugins/Tour/plugin.json": `{"version":"1.2"}`,
		"plugins/Heat/plugin.json": `{"name":"Heat","version":"9.9.1"}`, "plugins/Heat/Heat.php": "<?php\nDbHelper::createTable('heat_thing', '...'); Common::prefixTable('log_visit');\n$x = shell_exec($cmd);\nfile_put_contents('a', 'b');\n",
		"plugins/Heat/tracker.js": "x",
		"plugins/Off/Off.php":     "<?php echo 1;",
		"plugins/README":          "",
		"plugins/API/API.php":     "<?php echo 1;",
		"config/config.ini.php":   guard + "[Plugins]\nPlugins[] = \"Live\"\nPlugins[] = \"Tour\"\nPlugins[] = \"Heat\"\nPlugins[] = \"Gone\"\nPlugins[] = \"CustomJsTracker\"\n",
	}))
	m, _, err := Survey(context.Background(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Plugins(context.Background(), m, Usage{RowsSeen: true, Now: now, Lines: true, Rows: facts.Rows{Counts: map[string]int64{"heat_thing": 2}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]facts.Plugin{
		"Live":            {Active: true, Core: true, Version: "5.3.0", Lines: 1, Use: facts.CannotTell, Dir: dir + "/plugins/Live"},
		"Tour":            {Active: true, Core: true, Version: "1.2", Use: facts.NoEvidence, Dir: dir + "/plugins/Tour"},
		"Heat":            {Active: true, Version: "9.9.1", Lines: 4, Use: facts.Used, Evidence: []string{"2 rows in heat_thing"}, Risky: []string{"exec", "write"}, Dir: dir + "/plugins/Heat"},
		"Off":             {Lines: 1, Use: facts.CannotTell, Dir: dir + "/plugins/Off"},
		"Gone":            {Active: true, Use: facts.CannotTell},
		"API":             {Active: true, Always: true, Lines: 1, Dir: dir + "/plugins/API", Use: facts.Used, Evidence: []string{"Matomo does not work without it"}},
		"CustomJsTracker": {Active: true, Use: facts.Used, Evidence: []string{"the plugin Heat extends the tracking script"}},
	} {
		p := got[name]
		if (name == "Heat" || name == "Off" || name == "API") && p.Changed.IsZero() {
			t.Errorf("%s: when it was changed is missing", name)
		}
		p.Changed = time.Time{}
		if diff := cmp.Diff(want, p); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if _, there := got["CoreVue"]; there {
		t.Error("a plugin of other versions is taken for one of this tree")
	}
	if _, there := got["README"]; there {
		t.Error("a file is taken for a plugin")
	}
}

func TestActive(t *testing.T) {
	context := func(settings map[string][]string) facts.Matomo {
		return facts.Matomo{Contexts: []facts.Context{{Settings: settings}}}
	}
	on := active(context(map[string][]string{"Plugins.Plugins": {"Live", "Marketplace", "MobileMessaging"}, "General.enable_internet_features": {"0"}}))
	if !on["Live"] || !on["CoreHome"] || on["Marketplace"] || on["MobileMessaging"] {
		t.Errorf("%v", on)
	}
	if on := active(context(map[string][]string{"Plugins.Plugins": {"Marketplace"}, "General.enable_internet_features": {"1"}})); !on["Marketplace"] {
		t.Errorf("%v", on)
	}
}

// TestJudge holds the order of evidence, and that nothing without a trace is
// taken for unused when there may be none.
func TestJudge(t *testing.T) {
	full := func(more map[string]int64) facts.Rows {
		rows := facts.Rows{Counts: map[string]int64{}, Options: map[string]string{}}
		for _, k := range plugins {
			for _, key := range k.counts {
				rows.Counts[key] = 0
			}
		}
		for key, count := range more {
			rows.Counts[key] = count
		}
		return rows
	}
	with := func(options map[string]string) facts.Rows {
		rows := full(nil)
		rows.Options = options
		return rows
	}
	unknownCount := full(nil)
	delete(unknownCount.Counts, "log_action: events")
	long, recent := "1600000000", "1795000000"
	for _, c := range []struct {
		name   string
		usage  Usage
		logged logTraces
		other  map[string]string
		want   facts.Use
		proof  string
	}{
		{"Events", Usage{RowsSeen: true, Rows: full(map[string]int64{"log_action: events": 3})}, logTraces{}, nil, facts.Used, "3 rows in log_action: events"},
		{"Events", Usage{RowsSeen: true, Rows: full(nil)}, logTraces{}, nil, facts.NoEvidence, ""},
		{"Events", Usage{RowsSeen: true, Rows: unknownCount}, logTraces{}, nil, facts.CannotTell, ""},
		{"Events", Usage{RowsSeen: false}, logTraces{}, nil, facts.CannotTell, ""},
		{"Events", Usage{RowsSeen: true, Rows: full(nil)}, logTraces{read: true, of: map[string]trace{"Events": {1, now}}}, nil, facts.Used, "1 request in the access log, last on 2026-11-22"},
		{"Annotations", Usage{RowsSeen: true, Rows: with(map[string]string{"12_annotations": "[redacted]"})}, logTraces{}, nil, facts.Used, "option 12_annotations"},
		{"Annotations", Usage{RowsSeen: true, Rows: with(map[string]string{"12_annotations": ""})}, logTraces{}, nil, facts.NoEvidence, ""},
		{"GeoIp2", Usage{RowsSeen: true, Rows: with(map[string]string{"usercountry.location_provider": "geoip2php"})}, logTraces{}, nil, facts.Used, "option usercountry.location_provider"},
		{"GeoIp2", Usage{RowsSeen: true, Rows: with(map[string]string{"usercountry.location_provider": "default"})}, logTraces{}, nil, facts.NoEvidence, ""},
		{"GeoIp2", Usage{RowsSeen: true, Rows: full(nil)}, logTraces{}, map[string]string{"geoip": "the database x.mmdb"}, facts.Used, "the database x.mmdb"},
		{"Tour", Usage{RowsSeen: true, Rows: with(map[string]string{"LastPluginActivation.Tour": recent})}, logTraces{}, nil, facts.Used, "switched on by hand on 2026-11-18"},
		{"Tour", Usage{RowsSeen: true, Rows: with(map[string]string{"LastPluginActivation.Tour": long})}, logTraces{}, nil, facts.NoEvidence, ""},
		{"RssWidget", Usage{RowsSeen: true, Rows: facts.Rows{Dashboards: map[string]int{"RssWidget": 2}}}, logTraces{}, nil, facts.Used, "a widget of it on 2 dashboards"},
		{"BotTracking", Usage{RowsSeen: true, Rows: full(nil)}, logTraces{read: true}, nil, facts.CannotTell, ""},
		{"Login", Usage{}, logTraces{}, nil, facts.Used, "Matomo needs it: nobody can log in, but with another plugin that does it"},
	} {
		c.usage.Now = now
		var p facts.Plugin
		judge(c.name, &p, c.usage, c.logged, nil, c.other)
		if p.Use != c.want || strings.Join(p.Evidence, "|") != c.proof {
			t.Errorf("%s: %s %q, want %s %q", c.name, p.Use, p.Evidence, c.want, c.proof)
		}
	}
	for _, name := range []string{"Insights", "Transitions", "Overlay", "Live", "Widgetize"} {
		var p facts.Plugin
		judge(name, &p, Usage{RowsSeen: true, Rows: full(nil), Now: now}, logTraces{read: true}, nil, nil)
		if p.Use != facts.CannotTell {
			t.Errorf("%s leaves no trace in the database, and is taken for %s", name, p.Use)
		}
	}
}

func TestJudgeThirdParty(t *testing.T) {
	for _, c := range []struct {
		tables []string
		counts map[string]int64
		read   bool
		want   facts.Use
	}{
		{nil, nil, true, facts.CannotTell},
		{[]string{"a"}, map[string]int64{"a": 0}, true, facts.NoEvidence},
		{[]string{"a"}, map[string]int64{"a": 0}, false, facts.CannotTell},
		{[]string{"a"}, map[string]int64{}, true, facts.CannotTell},
		{[]string{"a", "b"}, map[string]int64{"a": 0, "b": 1}, false, facts.Used},
	} {
		var p facts.Plugin
		judge("Heat", &p, Usage{RowsSeen: true, Rows: facts.Rows{Counts: c.counts}, Now: now}, logTraces{read: c.read}, c.tables, nil)
		if p.Use != c.want {
			t.Errorf("%+v: %s", c, p.Use)
		}
	}
}

func TestAble(t *testing.T) {
	for code, want := range map[string]string{
		"<?php echo 1;":                       "",
		"<?php shell_exec('x');":              "exec",
		"<?php \\exec ( $x );":                "exec",
		"<?php $pdo->exec('x'); $a::exec(1);": "",
		"<?php function exec($x) {}":          "",
		"<?php // exec('x')\n# exec(\n/* exec( */ $a = 'exec('; $b = \"eval(\\\" exec(\";": "",
		"exec( <?= 1 ?> exec(":                  "",
		"<?php $x = `ls $y`;":                   "exec",
		"<?php eval($x);":                       "eval",
		"<?php include $x; ":                    "eval",
		"<?php include 'a.php';":                "",
		"<?php unserialize($_GET['a']);":        "eval",
		"<?php Http::sendHttpRequest($u, 5);":   "net",
		"<?php curl_init($u); fwrite($f, 1);":   "net,write",
		"<?php $view->rename('a'); rename($a);": "write",
		"<?php #[Attribute] exec($x);":          "exec",
		"<?php // ?> exec( <?php fsockopen(1);": "net",
	} {
		if got := strings.Join(able([]byte(code)), ","); got != want {
			t.Errorf("%s: %q, want %q", code, got, want)
		}
	}
}

func TestReadLogs(t *testing.T) {
	line := func(date, request, status string) string {
		return `203.0.113.0 - - [` + date + `] "` + request + `" ` + status + ` 123 "-" "UA"` + "\n"
	}
	text := line("21/Nov/2026:10:00:00 +0000", "GET /index.php?module=Transitions&action=x HTTP/2.0", "200") +
		line("22/Nov/2026:10:00:00 +0000", "GET /index.php?date=today&module=Transitions HTTP/2.0", "302") +
		line("22/Nov/2026:10:00:00 +0000", "GET /index.php?module=Overlay HTTP/2.0", "403") +
		line("22/Jun/2026:10:00:00 +0000", "GET /index.php?module=Live HTTP/2.0", "200") +
		line("22/Nov/2026:10:00:00 +0000", "GET /index.php?module=API&method=API.getBulkRequest&urls[0]=method%3dInsights.getMovers%26idSite%3d1 HTTP/2.0", "200") +
		line("22/Nov/2026:10:00:00 +0000", "GET /matomo.php?ping=1&idsite=1 HTTP/2.0", "204") +
		line("22/Nov/2026:10:00:00 +0000", "GET /index.php?x=1 HTTP/2.0\" \"module=Widgetize", "200") +
		`garbage module=Tour` + "\n" + strings.Repeat("x", 3*lineLimit) + "?module=Feedback\n"
	dir := t.TempDir()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	zip.Write([]byte(line("20/Nov/2026:10:00:00 +0000", "GET /?module=SEO HTTP/1.1", "200")))
	zip.Close()
	for name, content := range map[string][]byte{"access.log": []byte(text), "access.log.2.gz": packed.Bytes(), "broken.gz": []byte("no"), "half.gz": packed.Bytes()[:packed.Len()-9]} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(dir, name), now, now); err != nil {
			t.Fatal(err)
		}
	}
	got := readLogs(context.Background(), []string{dir + "/access.log", dir + "/broken.gz", dir + "/none", dir}, now.AddDate(0, 0, -usageDays))
	counts := map[string]int{}
	for name, trace := range got.of {
		counts[name] = trace.count
	}
	if diff := cmp.Diff(map[string]int{"Transitions": 2, "API": 1, "Insights": 1, "Heartbeat": 1, "SEO": 1}, counts); diff != "" || !got.read {
		t.Errorf("read %v: %s", got.read, diff)
	}
	if last := got.of["Transitions"].last; !last.Equal(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("last %s", last)
	}
	if got := readLogs(context.Background(), []string{dir + "/broken.gz"}, now.AddDate(0, 0, -usageDays)); got.read {
		t.Error("a log that cannot be read is taken for read")
	}
}

func TestLibraries(t *testing.T) {
	text := "<?php return array(\n    'root' => array(\n        'name' => 'matomo/matomo',\n        'pretty_version' => '5.3.0',\n    ),\n    'versions' => array(\n" +
		"        'twig/twig' => array(\n            'pretty_version' => 'v3.11.3',\n            'version' => '3.11.3.0',\n        ),\n" +
		"        'replaced/one' => array(\n            'dev_requirement' => false,\n            'replaced' => array(\n                0 => '*',\n            ),\n        ),\n" +
		"        'psr/log' => array(\n            'pretty_version' => '1.1.4',\n        ),\n    ),\n);\n"
	if diff := cmp.Diff(map[string]string{"twig/twig": "v3.11.3", "psr/log": "1.1.4"}, libraries([]byte(text))); diff != "" {
		t.Error(diff)
	}
}

func TestAdvise(t *testing.T) {
	dir := tree(t, matomo(map[string]string{"vendor/composer/installed.php": "<?php return array(\n    'versions' => array(\n        'a/b' => array(\n            'pretty_version' => '1',\n"}))
	a, err := Advise(facts.Matomo{Real: dir, Version: "4.16.1"})
	if err != nil {
		t.Fatal(err)
	}
	has := func(flaws []facts.Flaw, id string) bool {
		return slices.ContainsFunc(flaws, func(f facts.Flaw) bool { return f.ID == id })
	}
	if !has(a.Matomo, "MATOMO-REL-5.3.2") || !has(a.Parts, "CVE-2020-11022") || has(a.Matomo, "CVE-2020-11022") || a.Dated.IsZero() {
		t.Errorf("%+v", a)
	}
	if diff := cmp.Diff(map[string]string{"a/b": "1"}, a.Libraries); diff != "" {
		t.Error(diff)
	}
	if _, err := Advise(facts.Matomo{Real: t.TempDir(), Version: "5.3.0"}); err == nil {
		t.Error("a missing list is taken for an empty one")
	}
}

func TestParseDiagnosis(t *testing.T) {
	got := parseDiagnosis([]byte("INFO      [2026-11-22 02:32:04] 11954  Unable to test\nRequired Private Directories:\n\t- WARNING Checking the URL failed\n\t- OK All\n" +
		"File integrity: WARNING It failed &#039;x&#039;\n\nMissing file: /x\nDatabase abilities:\n\t- OK UTF8mb4\n\t- ERROR No temporary tables\nphp: ERROR too old\n2 errors detected\n"))
	want := facts.Diagnosis{Errors: []string{"Database abilities: No temporary tables", "php: too old"}, Warnings: []string{"File integrity: It failed 'x'"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTableOfPlugins(t *testing.T) {
	for name, k := range plugins {
		if k.always && (k.needed != "" || k.counts != nil || k.silent) {
			t.Errorf("%s is always on: nothing else matters", name)
		}
		if k.other != "" && !slices.Contains([]string{"tracker", "geoip", "ping", "third-party"}, k.other) {
			t.Errorf("%s: nobody looks for %q", name, k.other)
		}
	}
	if len(plugins) < 68 {
		t.Errorf("%d plugins: Matomo 5 comes with 68", len(plugins))
	}
}

func FuzzLogLine(f *testing.F) {
	f.Add(`1.2.3.4 - - [22/Nov/2026:10:00:00 +0000] "GET /index.php?module=Live&x=%zz HTTP/1.1" 200 1 "-" "-"`)
	f.Add(`[22/Nov/2026:10:00:00 +0000] "?method=`)
	f.Add(`"ping=1.php" 999 [99/Xyz/2026:10:00:00 +0000]`)
	f.Fuzz(func(t *testing.T, line string) {
		found := logTraces{of: map[string]trace{}}
		found.line([]byte(line), now.AddDate(0, 0, -usageDays))
		for name, trace := range found.of {
			if trace.count != 1 || trace.last.Before(now.AddDate(0, 0, -usageDays)) || !strings.Contains(line, name) && name != "Heartbeat" && !strings.Contains(line, "%") {
				t.Errorf("%q: %s %+v", line, name, trace)
			}
		}
	})
}

func FuzzPHPCode(f *testing.F) {
	f.Add([]byte("<?php echo 'a'; // x\n/* y */ exec(\"z\"); ?> html <?= `ls` ?>"))
	f.Add([]byte("<?php '\\"))
	f.Add([]byte("<?php /*"))
	f.Fuzz(func(t *testing.T, text []byte) {
		code := phpCode(text)
		if len(code) != len(text) {
			t.Fatalf("%d bytes of %d", len(code), len(text))
		}
		for i := range code {
			if code[i] != text[i] && code[i] != ' ' {
				t.Fatalf("byte %d is %q, was %q", i, code[i], text[i])
			}
		}
		able(text)
	})
}

func FuzzLibraries(f *testing.F) {
	f.Add([]byte("        'twig/twig' => array(\n            'pretty_version' => 'v3.11.3',\n"))
	f.Add([]byte("        'a/b' => array(\n        'c/d' => array(\n            'pretty_version' => '1',\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for name, version := range libraries(text) {
			if !bytes.Contains(text, []byte("'"+name+"' => array(")) || !bytes.Contains(text, []byte("'pretty_version' => '"+version+"'")) {
				t.Errorf("%q %q is not in %q", name, version, text)
			}
		}
	})
}

func FuzzPluginVersion(f *testing.F) {
	f.Add([]byte(`{"version":"1.0"}`))
	f.Add([]byte("\ufeff{\"version\":1.5}"))
	f.Add([]byte(`{"version":{"a":[[[[]]]]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(pluginVersion(text)) > 400 {
			t.Errorf("%q tells a long version", text)
		}
	})
}

func FuzzDiagnosis(f *testing.F) {
	f.Add([]byte("a: WARNING b\nc:\n\t- ERROR d\n"))
	f.Fuzz(func(t *testing.T, output []byte) {
		d := parseDiagnosis(output)
		if len(d.Errors) > bytes.Count(output, []byte("ERROR")) || len(d.Warnings) > bytes.Count(output, []byte("WARNING")) {
			t.Errorf("%q: %+v", output, d)
		}
	})
}
