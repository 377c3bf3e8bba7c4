package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/cfntest"
	"rocca/internal/aws/provision"
	"rocca/internal/aws/wholetest"
	"rocca/internal/testhost"
)

// walker is somebody who has rocca, an empty directory and an AWS account.
type walker struct {
	*wholetest.Account
	t       *testing.T
	program string
	dir     string
	environ []string
	screen  strings.Builder // all that was ever shown
}

func newWalker(t *testing.T) *walker {
	w := &walker{Account: wholetest.Start(t), t: t, program: testhost.Binary(t), dir: t.TempDir()}
	w.environ = append(w.Environment(), "HOME="+t.TempDir(), "PATH="+os.Getenv("PATH"))
	return w
}

func (w *walker) command(args ...string) *exec.Cmd {
	c := exec.Command(w.program, append([]string{"aws"}, args...)...)
	c.Dir, c.Env = w.dir, w.environ
	return c
}

// shown is what a program has told.
type shown struct {
	t        *testing.T
	did      string // the command
	out, err string
}

func (w *walker) show(did string, out, errs []byte, code, want int) shown {
	w.t.Helper()
	s := shown{w.t, did, string(out), string(errs)}
	fmt.Fprintf(&w.screen, "%s\n%s%s", did, s.out, s.err)
	w.t.Logf("$ %s\n%s%s[exit code %d]", did, s.out, s.err, code)
	if n := w.Services.Count("secretsmanager", "GetSecretValue"); n > 0 {
		w.t.Errorf("%s: secrets were read", did)
	}
	if code != want {
		w.t.Fatalf("%s: exit code %d, want %d", did, code, want)
	}
	return s
}

// run runs a verb without a terminal.
func (w *walker) run(want int, args ...string) shown {
	w.t.Helper()
	return w.answer("", want, args...)
}

// answer runs a verb on a terminal at which somebody types that.
func (w *walker) answer(typed string, want int, args ...string) shown {
	w.t.Helper()
	c := w.command(args...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if typed != "" {
		c.Stdin = terminal(w.t, typed)
	}
	err := c.Run()
	if c.ProcessState == nil {
		w.t.Fatal(err)
	}
	return w.show(c.String(), out.Bytes(), errs.Bytes(), c.ProcessState.ExitCode(), want)
}

// during runs a verb, and does something when it has told that.
func (w *walker) during(told string, do func(*os.Process), want int, args ...string) shown {
	w.t.Helper()
	c := w.command(args...)
	var out, errs bytes.Buffer
	c.Stderr = &errs
	stdout, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for buffer := make([]byte, 4096); !strings.Contains(out.String(), told); {
		n, err := stdout.Read(buffer)
		out.Write(buffer[:n])
		if err != nil {
			w.t.Errorf("it ended before it told %q", told)
			break
		}
	}
	do(c.Process)
	if _, err := io.Copy(&out, stdout); err != nil {
		w.t.Fatal(err)
	}
	_ = c.Wait() // its exit code is looked at
	return w.show(c.String(), out.Bytes(), errs.Bytes(), c.ProcessState.ExitCode(), want)
}

// terminal is one at which a line was typed.
func terminal(t *testing.T, line string) *os.File {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	if _, err := keyboard.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
	return screen
}

// says checks that each of these is told, in that order.
func (s shown) says(texts ...string) {
	s.t.Helper()
	rest := s.out + s.err
	for _, text := range texts {
		_, after, found := strings.Cut(rest, text)
		if !found {
			s.t.Errorf("%s: does not say %q there", s.did, text)
			continue
		}
		rest = after
	}
}

// objects checks that each line is a JSON object, and gives those of a kind.
func (s shown) objects(kind string) (all []map[string]any) {
	s.t.Helper()
	if s.err != "" {
		s.t.Errorf("%s: also told %q", s.did, s.err)
	}
	for line := range strings.Lines(s.out) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			s.t.Fatalf("%s: %v: %s", s.did, err, line)
		}
		if object["kind"] == kind {
			all = append(all, object)
		}
	}
	if len(all) == 0 {
		s.t.Errorf("%s: no object is of the kind %s", s.did, kind)
	}
	return all
}

// settings adds to rocca-aws.yaml, or what comes instead of it.
func (w *walker) settings(name, text string) {
	w.t.Helper()
	file, err := os.OpenFile(filepath.Join(w.dir, name), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		w.t.Fatal(err)
	}
}

// looks are calls that change nothing, and those that change what is planned only.
var (
	looks = regexp.MustCompile(`^(Describe|Get|List|Head|GET |HEAD )`)
	plans = regexp.MustCompile(`^(CreateChangeSet|DeleteChangeSet|DeleteStack) `)
)

// untouched checks that nothing was changed in the account since calls were
// forgotten, but change sets.
func (w *walker) untouched() {
	w.t.Helper()
	for _, call := range w.Services.Calls() {
		if !looks.MatchString(call.Operation) {
			w.t.Errorf("called without consent: %s", call)
		}
	}
	for _, call := range w.Formation.Writes() {
		if !plans.MatchString(call) {
			w.t.Errorf("called without consent: %s", call)
		}
	}
	w.Services.ForgetCalls()
	w.Formation.ForgetCalls()
}

// wait lets time pass in CloudFormation.
func (w *walker) wait(d time.Duration) { _ = w.Formation.Sleep(w.t.Context(), d) } // that it is much, too

func (w *walker) stand(deployment, status string) {
	w.t.Helper()
	for _, role := range []string{"base", "watch", "data", "app"} {
		if got := w.Formation.Status(deployment + "-" + role); got != status {
			w.t.Errorf("the stack %s-%s is %q, want %q", deployment, role, got, status)
		}
	}
}

// TestAWSWalk goes a newcomer's way with the real program, from an empty
// directory to an account that is empty again.
func TestAWSWalk(t *testing.T) {
	w := newWalker(t)
	secrets := []string{"the-seed-of-all-passwords", "the-password-of-the-administrator"}
	w.PutSecret("rocca/shop/app", `{"seed":"`+secrets[0]+`"}`)
	w.PutSecret("rds!db-shop-matomo", `{"username":"rocca_admin","password":"`+secrets[1]+`"}`)
	w.Services.ForgetCalls()

	// What is wanted, and whether it can be had.
	w.run(exitClean, "init", "--name", "shop", "--profile", "standard", "--region", awstest.Region, "--domain", "stats.example.org", "--email", "ops@example.org").
		says("wrote rocca-aws.yaml; next:", "rocca aws image --pin", "rocca aws doctor", "rocca aws cost", "rocca aws plan")
	w.run(exitFindings, "doctor").says("none is pinned", "rocca aws image --pin")
	w.run(exitUsage, "plan").says("hint: rocca aws image --pin")
	w.run(exitClean, "image", "--pin").says("newest  "+wholetest.Image, "wrote it into rocca-aws.yaml")
	if runtime.GOARCH != "arm64" { // as the instances are
		w.run(exitFindings, "doctor").says("fail", "t4g.small needs one for arm64", "program.file")
		w.run(exitUsage, "deploy", "--yes").says("t4g.small needs one for arm64", "hint: ", "program.file")
	}
	program := filepath.Join(t.TempDir(), "rocca-arm64")
	if err := os.WriteFile(program, smallestProgram, 0o755); err != nil {
		t.Fatal(err)
	}
	w.settings("rocca-aws.yaml", "program: {file: "+program+"}\n")
	w.run(exitClean, "doctor").says("warn", "add the record that rocca aws deploy shows")
	w.run(exitClean, "cost").says("shop (standard) in eu-central-1: about $", "NAT gateway", "not counted")
	w.run(exitFindings, "info").says("nothing is deployed", "rocca aws plan")

	// What would be made; and nothing is, before somebody agrees.
	plan := w.run(exitFindings, "plan")
	plan.says("shop-base: to be created", "shop-watch: to be created", "shop-data: to be created", "shop-app: to be created", " to create; ", "a month with light use")
	plan.says("port 443 is open to everybody")
	w.run(exitFindings, "info").says("nothing is deployed")
	w.run(exitUsage, "deploy").says("there is no terminal to ask on", "hint: ", "--yes")
	w.answer("n", exitUsage, "deploy").says("Change this account? [y/N]", "nothing was changed")
	w.wait(time.Minute)
	w.stand("shop", "")
	w.untouched()

	// The first deployment is left in the middle, and taken up again.
	w.Formation.Script("shop-app", cfntest.Story{Takes: map[string]time.Duration{"Servers": 100 * time.Hour}})
	interrupt := func(rocca *os.Process) {
		if err := rocca.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
	}
	w.during("servers, with Matomo on them: create", interrupt, exitUnseen, "deploy", "--yes").
		says("shop-base: create complete", "shop-watch: create complete", "shop-data: create complete", "shop-app: creation of", "CloudFormation goes on", "rocca aws deploy --attach")
	if got := w.Granted(); !slices.Equal(got, []string{provision.PolicyName}) {
		t.Errorf("while servers are made, they are granted %q", got)
	}
	w.run(exitLocked, "deploy", "--yes").says("another deployment is running", "hint: rocca aws deploy --attach")
	w.during("following the stack shop-app", func(*os.Process) { w.wait(100 * time.Hour) }, exitClean, "deploy", "--attach", "--yes").
		says("servers, with Matomo on them", "shop-app: create complete", "https://stats.example.org/", "rocca aws info", "rocca aws verify")
	w.stand("shop", "CREATE_COMPLETE")
	if got := w.Granted(); len(got) > 0 {
		t.Errorf("when servers are made, they are still granted %q", got)
	}
	for key, content := range w.Objects() {
		sum := sha256.Sum256(content)
		if !strings.Contains(key, hex.EncodeToString(sum[:])) {
			t.Errorf("%s has another hash than its name says", key)
		}
		if strings.HasPrefix(key, "rocca-arm64-") != bytes.Equal(content, smallestProgram) {
			t.Errorf("%s is not what was named", key)
		}
	}
	if n := len(w.Objects()); n != 2 {
		t.Errorf("instances can fetch %d files, want rocca and the authorities of RDS", n)
	}

	// What is there; and that nothing is to be done.
	w.RunServer("shop")
	w.run(exitClean, "info").says("https://stats.example.org/", "in your DNS", "stats.example.org CNAME ", "stack shop-base", "CREATE_COMPLETE, protected", "stack shop-app", "server i-", "rocca aws ssh --instance i-")
	w.Services.ForgetCalls()
	w.Formation.ForgetCalls()
	w.run(exitClean, "plan").says("nothing to do: the deployment is as it should be")
	w.run(exitClean, "plan", "--json").objects("plan")
	w.run(exitClean, "deploy", "--yes").says("none: the deployment is as it should be")
	w.untouched()

	// A change, seen and made.
	w.settings("rocca-aws.yaml", "monitoring: {log_days: 180}\n")
	w.run(exitFindings, "plan").says("shop-base: to be changed", "RetentionInDays: 90 -> 180", " to update")
	w.untouched()
	changed := w.run(exitClean, "deploy", "--yes", "--json")
	changed.objects("done")
	if card := changed.objects("card"); card[0]["url"] != "https://stats.example.org/" {
		t.Errorf("the card says %v", card)
	}
	w.run(exitClean, "plan").says("nothing to do")

	// What would lose data is refused, also to who does not ask.
	w.settings("small.yaml", "name: small\nprofile: single\nregion: eu-central-1\ndomain: small.example.org\nemail: ops@example.org\ninstance: {image: "+wholetest.Image+"}\nprogram: {file: "+program+"}\n")
	w.run(exitClean, "deploy", "-c", "small.yaml", "--yes").says("rocca aws verify --wait -c small.yaml")
	w.settings("small.yaml", "network: {zones: [eu-central-1b, eu-central-1a]}\n")
	w.run(exitFindings, "plan", "-c", "small.yaml").says("disk of the database (Volume): REPLACED because of AvailabilityZone; lost: ", "rocca aws deploy refuses this without --allow-replace Volume")
	w.Services.ForgetCalls()
	w.Formation.ForgetCalls()
	w.run(exitUsage, "deploy", "-c", "small.yaml", "--yes").says("disk of the database (Volume) would be replaced because of AvailabilityZone; lost: ", "hint: ", "--allow-replace Volume")
	w.untouched()

	// The end.
	w.run(exitUsage, "destroy").says("there is no terminal to ask on", "hint: rocca aws destroy --yes shop")
	w.answer("small", exitUsage, "destroy").says("Type the name of the deployment", "nothing was changed")
	w.untouched()
	w.stand("small", "CREATE_COMPLETE")
	w.answer("shop", exitClean, "destroy", "--keep-data").
		says("shop-app: to be deleted", "shop-data: to be deleted", "a last snapshot of it is kept", "shop-watch: to be deleted", "shop-base: to be deleted", "Type the name", "left in the account:")
	w.stand("shop", "")
	w.stand("small", "CREATE_COMPLETE")
	w.run(exitClean, "destroy", "-c", "small.yaml", "--yes", "small", "--json").objects("left")
	w.run(exitFindings, "info").says("nothing is deployed")

	for _, text := range secrets {
		if strings.Contains(w.screen.String(), text) {
			t.Errorf("the screen has shown the secret %q", text)
		}
	}
}
