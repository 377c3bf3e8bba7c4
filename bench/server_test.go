// Package bench measures how long a whole server takes, and what of it is
// rocca's, the packages' and Matomo's. It is for make bench, not for CI: the
// figures hold for one machine, and only ratios within one run can be compared.
package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rocca/internal/progress"
	"rocca/internal/run"
	"rocca/internal/standin"
	"rocca/internal/testhost"
)

// BenchmarkServer takes a bare Debian, with packages downloaded, to a finished
// server; then runs rocca up again and takes everything back. ROCCA_REAL_RELEASE
// names a real release; without it the stand-in is installed.
func BenchmarkServer(b *testing.B) {
	for _, debian := range []string{"12", "13"} {
		b.Run("Debian"+debian, func(b *testing.B) {
			for b.Loop() {
				measure(b, debian)
			}
		})
	}
}

func measure(b *testing.B, debian string) {
	b.StopTimer()
	h := testhost.Boot(b, testhost.Options{Debian: debian, Bare: true})
	arguments := putRelease(b, h)
	b.StartTimer()

	first := timed(b, h, append([]string{"rocca", "up", "--yes", "--json"}, arguments...)...)
	again := timed(b, h, append([]string{"rocca", "up", "--yes", "--json"}, arguments...)...)
	undo := timed(b, h, "rocca", "undo", "--yes", "--json", "--delete-data")

	own := first.whole - first.packages
	for _, metric := range []struct {
		unit  string
		value float64
	}{
		{"s/server", first.whole.Seconds()},
		{"s/packages", first.packages.Seconds()},
		{"s/rocca", own.Seconds()},
		{"s/matomo-install", first.matomo.Seconds()},
		{"s/up-again", again.whole.Seconds()},
		{"s/undo", undo.whole.Seconds()},
		{"packages:rocca", first.packages.Seconds() / own.Seconds()},
		{"first:again", first.whole.Seconds() / again.whole.Seconds()},
	} {
		b.ReportMetric(metric.value, metric.unit)
	}
}

// parts are how long a command took, as a whole and by its events.
type parts struct{ whole, packages, matomo time.Duration }

func timed(b *testing.B, h *testhost.Host, argv ...string) parts {
	b.Helper()
	start := time.Now()
	result, err := h.Try(run.Command{Argv: argv})
	if err != nil {
		b.Fatal(err)
	}
	p := parts{whole: time.Since(start)}
	for line := range strings.Lines(string(result.Stdout)) {
		var e progress.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Kind != progress.Done {
			continue
		}
		switch {
		case strings.HasPrefix(e.Step, "packages "):
			p.packages += e.Elapsed
		case strings.HasPrefix(e.Step, "install Matomo"):
			p.matomo += e.Elapsed
		}
	}
	return p
}

// putRelease puts a release into the server and returns the arguments that
// name it.
func putRelease(b *testing.B, h *testhost.Host) []string {
	b.Helper()
	const inside = "/root/release"
	if real := os.Getenv("ROCCA_REAL_RELEASE"); real != "" {
		if _, err := run.Do(b.Context(), run.Command{Argv: []string{"cp", "-rT", real, h.Root() + inside}}); err != nil {
			b.Fatal(err)
		}
		return []string{"--release", inside, "--accept-unsigned"}
	}
	built, err := standin.Build(standin.Version)
	if err != nil {
		b.Fatal(err)
	}
	for name, content := range map[string][]byte{built.Name: built.Archive, built.Name + ".asc": built.Signature, "key.asc": built.PublicKey} {
		file := filepath.Join(h.Root()+inside, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return []string{"--release", fmt.Sprintf("%s/%s", inside, built.Name), "--release-key", inside + "/key.asc"}
}
