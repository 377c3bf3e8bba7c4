package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rocca/internal/aws/wholetest"
	"rocca/internal/testhost"
	"rocca/internal/testnode"
)

const standardSettings = `name: matomo
region: eu-central-1
domain: stats.example.org
email: ops@example.org
profile: standard
instance: {image: ami-0123456789abcdef0}
program: {url: "https://www.example.org/rocca", sha256: abababababababababababababababababababababababababababababababab}
`

// BenchmarkSynth renders the standard profile, beside AWS's own CDK library in
// the same run. That one is given the templates that rocca rendered: it only
// reads them and writes them again.
func BenchmarkSynth(b *testing.B) {
	rocca := testhost.Binary(b)
	project := testnode.Project(b, "../security")
	dir := b.TempDir()
	settings := filepath.Join(dir, "rocca-aws.yaml")
	if err := os.WriteFile(settings, []byte(standardSettings), 0o600); err != nil {
		b.Fatal(err)
	}
	assembly := filepath.Join(dir, "cdk.out")
	synth := func() *exec.Cmd { return exec.Command(rocca, "aws", "synth", "-c", settings, "-o", assembly) }
	measured(b, synth)
	templates, err := filepath.Glob(filepath.Join(assembly, "*.template.json"))
	if err != nil || len(templates) == 0 {
		b.Fatalf("synth wrote no templates: %v", err)
	}
	cdk := func() *exec.Cmd {
		command := exec.Command("node", append([]string{"synth.js"}, templates...)...)
		command.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(project, "node_modules"), "CDK_OUTDIR="+filepath.Join(dir, "peer"))
		return command
	}
	for b.Loop() {
		ours, peer := measured(b, synth), measured(b, cdk)
		b.ReportMetric(float64(ours.wall.Milliseconds()), "ms/synth")
		b.ReportMetric(float64(ours.peak)/1024, "MiB/synth")
		b.ReportMetric(peer.wall.Seconds()/ours.wall.Seconds(), "cdk:synth")
		b.ReportMetric(float64(peer.peak)/float64(ours.peak), "cdk:synth-memory")
	}
}

// BenchmarkPlan plans a standard deployment that is as it should be, against an
// account of moto and the fake CloudFormation: what rocca itself takes for it,
// and the calls that it makes.
func BenchmarkPlan(b *testing.B) {
	rocca := testhost.Binary(b)
	account := wholetest.Start(b)
	settings := filepath.Join(b.TempDir(), "rocca-aws.yaml")
	if err := os.WriteFile(settings, []byte(standardSettings), 0o600); err != nil {
		b.Fatal(err)
	}
	verb := func(arguments ...string) *exec.Cmd {
		command := exec.Command(rocca, append([]string{"aws"}, append(arguments, "-c", settings)...)...)
		command.Env = append(account.Environment(), "HOME="+b.TempDir())
		return command
	}
	if out, err := verb("deploy", "--yes").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	plan := func() *exec.Cmd { return verb("plan") }
	for b.Loop() {
		account.Formation.ForgetCalls()
		account.Services.ForgetCalls()
		took := measured(b, plan)
		b.ReportMetric(took.wall.Seconds(), "s/plan")
		b.ReportMetric(float64(took.peak)/1024, "MiB/plan")
		b.ReportMetric(float64(len(account.Formation.Calls())+len(account.Services.Calls()))/3, "calls/plan")
	}
}

type usage struct {
	wall time.Duration
	peak int64 // KiB
}

// clocked runs a program and prints how long it took, in seconds, and the most
// memory that it had, in KiB (getrusage(2)). Go's own figure for a child begins
// with the memory of the process that started it.
const clocked = `use POSIX; use Time::HiRes "time"; my $start = time; my $pid = fork;
if (!$pid) { open STDOUT, ">", "/dev/null"; exec @ARGV } waitpid $pid, 0; my $took = time - $start; exit 1 if $?;
my $buffer = "\0" x 200; syscall((uname)[4] eq "x86_64" ? 98 : 165, -1, $buffer); my @usage = unpack("q*", $buffer); print "$took $usage[4]\n";`

// measured is the quickest of three runs of a program on this machine, and the
// most memory that one of them had.
func measured(b *testing.B, command func() *exec.Cmd) usage {
	b.Helper()
	best := usage{wall: 1<<63 - 1}
	for range 3 {
		asked := command()
		c := exec.Command("perl", append([]string{"-e", clocked, "--"}, asked.Args...)...)
		var stderr strings.Builder
		c.Env, c.Dir, c.Stderr = asked.Env, asked.Dir, &stderr
		out, err := c.Output()
		if err != nil {
			b.Fatalf("%s: %v\n%s", asked, err, stderr.String())
		}
		var seconds float64
		var kib int64
		if _, err := fmt.Sscan(string(out), &seconds, &kib); err != nil {
			b.Fatalf("%s: %v: %q", asked, err, out)
		}
		best.wall = min(best.wall, time.Duration(seconds*float64(time.Second)))
		best.peak = max(best.peak, kib)
	}
	return best
}
