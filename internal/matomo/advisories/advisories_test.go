package advisories

import (
	"slices"
	"testing"
)

func TestListIsWellFormed(t *testing.T) {
	if len(file) > 70_000 {
		t.Errorf("the list has %d bytes; keep it below 70,000", len(file))
	}
	data, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(data.Flaws) < 60 || len(data.Releases) < 200 {
		t.Errorf("%d flaws and %d releases: some are missing", len(data.Flaws), len(data.Releases))
	}
	seen := map[string]bool{}
	for _, f := range data.Flaws {
		if f.ID == "" || seen[f.ID] || f.Part == "" || f.Summary == "" || len(f.Ranges) == 0 {
			t.Errorf("%q: it stands twice, or something is missing", f.ID)
		}
		seen[f.ID] = true
		if !slices.Contains([]string{"", "low", "medium", "high", "critical"}, f.Severity) {
			t.Errorf("%s: severity %q", f.ID, f.Severity)
		}
		for _, r := range f.Ranges {
			if r.Introduced == "" || (r.Fixed == "") == (r.Last == "") {
				t.Errorf("%s: a range needs its first version, and either fixed or last_affected", f.ID)
			}
			for _, version := range []string{r.Introduced, r.Fixed, r.Last} {
				if version != "" && version != "0" && !Stable(version) {
					t.Errorf("%s: %q is no version", f.ID, version)
				}
			}
		}
	}
}

func TestOf(t *testing.T) {
	data, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	ids := func(version string) []string {
		var found []string
		for _, f := range data.Of(version) {
			found = append(found, f.ID)
		}
		return found
	}
	for _, c := range []struct {
		version string
		want    []string
		not     []string
	}{
		{"5.3.0", []string{"CVE-2026-78850", "MATOMO-REL-5.3.2", "MATOMO-REL-5.14.1"}, []string{"MATOMO-REL-5.2.2", "CVE-2015-7815", "CVE-2019-12215"}},
		{"5.2.1", []string{"MATOMO-REL-5.2.2"}, []string{"CVE-2020-11022"}},
		{"4.16.1", []string{"CVE-2020-11022", "CVE-2026-78850"}, nil},
		{"4.12.3", nil, []string{"CVE-2026-78850"}},
		{"3.9.1", []string{"CVE-2019-12215"}, nil},
		{"5.14.1-rc1", []string{"MATOMO-REL-5.14.1"}, []string{"CVE-2026-78850"}},
		{"", nil, []string{"CVE-2009-4137", "MATOMO-REL-5.14.1"}},
	} {
		got := ids(c.version)
		for _, id := range c.want {
			if !slices.Contains(got, id) {
				t.Errorf("%s: %s is missing in %v", c.version, id, got)
			}
		}
		for _, id := range c.not {
			if slices.Contains(got, id) {
				t.Errorf("%s: %s is not its flaw", c.version, id)
			}
		}
	}
	if newest := data.Newest(); len(ids(newest)) != 0 {
		t.Errorf("the newest version %s has flaws: %v", newest, ids(newest))
	}
}

func TestNewest(t *testing.T) {
	data, err := parse([]byte(`{"dated":"2026-01-02","flaws":[{"id":"X","ranges":[{"introduced":"0","fixed":"5.10.1"}]}],"releases":{"5.9.0":"2026-01-01","5.10.0":"","6.0.0-b1":"2026-01-02"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := data.Newest(); got != "5.10.1" {
		t.Errorf("newest %s", got)
	}
	for _, text := range []string{`{`, `{"dated":"x"}`, `{"dated":"2026-01-02","releases":{"1":"x"}}`} {
		if _, err := parse([]byte(text)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

// TestCompare holds the order that PHP's version_compare gives.
func TestCompare(t *testing.T) {
	ordered := []string{"", "0", "0.2.32", "0.2.35", "0.4.3", "0.5", "1.1", "1.9", "1.10.1", "2.16.1", "3.0.0-b1", "3.0.0", "5.3.0-alpha", "5.3.0-b1", "5.3.0-b10", "5.3.0-rc1", "5.3.0-rc2", "5.3.0", "5.3.0.1", "5.3.1", "5.10.0", "6.0.0-dev", "6.0.0"}
	for i, a := range ordered {
		for j, b := range ordered {
			got := Compare(a, b)
			if i < j && got >= 0 || i == j && got != 0 || i > j && got <= 0 {
				t.Errorf("%q and %q: %d", a, b, got)
			}
		}
	}
}

func FuzzCompare(f *testing.F) {
	f.Add("5.3.0", "5.3.0-b1", "5.10")
	f.Add("", "0", "rc")
	f.Add("1.0000000000000000000000000000000001", "x", "1.1")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		sign := func(n int) int { return max(-1, min(1, n)) }
		if sign(Compare(a, b)) != -sign(Compare(b, a)) {
			t.Errorf("%q and %q are not ordered", a, b)
		}
		if Compare(a, a) != 0 {
			t.Errorf("%q is not itself", a)
		}
		if Compare(a, b) <= 0 && Compare(b, c) <= 0 && Compare(a, c) > 0 {
			t.Errorf("%q <= %q <= %q, but not the first and the last", a, b, c)
		}
	})
}

func FuzzRange(f *testing.F) {
	f.Add("5.3.0", "0", "5.3.2", "")
	f.Add("3.9.1", "3.9.1", "", "3.9.1")
	f.Fuzz(func(t *testing.T, version, introduced, fixed, last string) {
		r := Range{Introduced: introduced, Fixed: fixed, Last: last}
		if r.Holds(version) && fixed != "" && Compare(version, fixed) >= 0 {
			t.Errorf("%q is in %+v", version, r)
		}
		if fixed != "" && r.Holds(fixed) {
			t.Errorf("%q is in %+v", fixed, r)
		}
	})
}
