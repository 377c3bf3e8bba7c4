package bench

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"rocca/internal/demo"
	"rocca/internal/run"
	"rocca/internal/testhost"
)

// peers are what people audit a server or check its files with. Each runs in
// the same throw-away server as rocca, one after the other.
var peers = []struct {
	name    string
	prepare []string // run once, not timed
	argv    []string
	accept  []int // exit codes of a run that worked
}{
	{name: "lynis", argv: []string{"lynis", "audit", "system", "--quick", "--no-colors"}, accept: []int{0, 78}},
	{name: "aide", prepare: []string{"sh", "-c", `cat >/root/aide.conf <<END
database_in=file:/root/aide.db
database_out=file:/root/aide.db
@@define TREE /var/www/matomo
/var/www/matomo p+u+g+acl+xattrs+sha256
END
aide --config /root/aide.conf --init`}, argv: []string{"aide", "--config", "/root/aide.conf", "--check"}, accept: []int{0}},
	{name: "sha256sum", prepare: []string{"sh", "-c", "cd /var/www/matomo && find . -type f -print0 | xargs -0 sha256sum >/root/sums"},
		argv: []string{"sh", "-c", "cd /var/www/matomo && sha256sum --quiet -c /root/sums"}, accept: []int{0}},
}

// BenchmarkAudit audits a server of rocca's own, beside others on the same
// server in the same run. ROCCA_REAL_RELEASE names a real release (11,000
// files); without it the stand-in is audited, which has some hundred.
func BenchmarkAudit(b *testing.B) {
	h := testhost.Boot(b, testhost.Options{Debian: "12", Bare: true, Packages: append(demo.Packages("12"), "lynis", "aide")})
	command(b, h, append([]string{"rocca", "up", "--yes", "--json"}, putRelease(b, h)...)...)
	command(b, h, "apt-get", "install", "-y", "--no-install-recommends", "--no-download", "lynis", "aide")

	audit := []string{"rocca", "audit", "--format", "json", "-o", "/root/audit.json"}
	command(b, h, "sh", "-c", strings.Join(audit, " ")+" || [ $? = 1 ] || [ $? = 3 ]") // warm
	for b.Loop() {
		whole := wall(b, h, audit, 0, 1, 3)
		b.ReportMetric(whole.Seconds(), "s/audit")
		b.ReportMetric(float64(peak(b, h, audit))/1024, "MiB/audit")
		for _, p := range peers {
			if p.prepare != nil {
				command(b, h, p.prepare...)
			}
			b.ReportMetric(wall(b, h, p.argv, p.accept...).Seconds()/whole.Seconds(), p.name+":audit")
		}
	}
}

// command runs something that must work.
func command(b *testing.B, h *testhost.Host, argv ...string) string {
	b.Helper()
	result, err := h.Try(run.Command{Argv: argv})
	if err != nil {
		b.Fatal(err)
	}
	return string(result.Stdout)
}

// wall is the shortest of three runs.
func wall(b *testing.B, h *testhost.Host, argv []string, accept ...int) time.Duration {
	b.Helper()
	var codes []string
	for _, code := range accept {
		codes = append(codes, strconv.Itoa(code))
	}
	// The clock runs inside: starting a command in the server is not measured.
	script := `start=$(date +%s%N); "$@" >/dev/null 2>&1; code=$?; end=$(date +%s%N)
case " ` + strings.Join(codes, " ") + ` " in *" $code "*) ;; *) echo "exit $code" >&2; exit 1 ;; esac
echo $((end - start))`
	best := time.Duration(1<<63 - 1)
	for range 3 {
		nanoseconds, err := strconv.ParseInt(strings.TrimSpace(command(b, h, append([]string{"sh", "-c", script, "timed"}, argv...)...)), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		best = min(best, time.Duration(nanoseconds))
	}
	return best
}

// peak is the most memory that a command had, in KiB (getrusage(2)).
func peak(b *testing.B, h *testhost.Host, argv []string) int64 {
	b.Helper()
	out := command(b, h, append([]string{"perl", "-e", `use POSIX; my $pid = fork; if (!$pid) { open STDOUT, ">", "/dev/null"; exec @ARGV } waitpid $pid, 0;
my $buffer = "\0" x 200; syscall((uname)[4] eq "x86_64" ? 98 : 165, -1, $buffer); my @usage = unpack("q*", $buffer); print $usage[4], "\n";`, "--"}, argv...)...)
	kib, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return kib
}
