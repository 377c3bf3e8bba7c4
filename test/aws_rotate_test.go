package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/instance"
	"rocca/internal/aws/instance/boot"
	"rocca/internal/aws/stack"
	"rocca/internal/blueprint"
	"rocca/internal/run"
	"rocca/internal/testhost"
)

// TestAWSRotate rotates the accounts of a deployment by rocca aws rotate db, as
// its operator does: on a computer of its own, with AWS in between. Visitors and
// users are at work all the time.
func TestAWSRotate(t *testing.T) {
	cloud := awstest.Start(t)
	d := &deployment{network: newNetwork(t), cloud: cloud, granted: true}
	d.startDatabase(t)
	d.startAWS(t, func(b *instance.Boot) {
		b.CA = d.artefact("/ca.pem", []byte(d.database.ca.pem))
		b.Config.Proxies = []netip.Prefix{netip.MustParsePrefix("10.20.0.0/20")}
		b.Config.Database = instance.Database{Host: remoteName, Port: 3307, Name: "matomo", Network: netip.MustParsePrefix("10.20.0.0/16"), Master: d.master}
	})
	r := &awsRotation{rotation: &rotation{deployment: d}}
	first := d.launch(t, atFirst)
	first.start(t)
	second := d.launch(t, atSecond)
	d.awaitSignal(t, first)
	second.start(t)
	d.awaitSignal(t, second)
	r.hosts = []*ec2{first, second}
	d.read(func() bool { d.granted, d.complete = false, true; return true })
	r.operate(t)
	r.sample(t)
	r.visitAll(t)
	for _, part := range []struct {
		name string
		test func(*testing.T)
	}{
		{"dry run", r.testPlan},
		{"rotates", r.testRotates},
		{"killed", r.testKilled},
		{"no request was lost", r.testNoneLost},
		{"secrets", r.testNothingShown},
	} {
		if !t.Run(part.name, part.test) {
			return
		}
	}
}

// awsRotation is a deployment and its operator.
type awsRotation struct {
	*rotation
	operator operator
	commands commands
	recorded atomic.Int64 // hits that were answered
	before   string       // hits in the database when the load began
	asks     []ask
	cmdlines samples
}

// operator is somebody's computer with the real program, and the way from there
// to AWS.
type operator struct {
	program, dir string
	environment  []string
	said         bytes.Buffer
	passwords    []string // of each version of the app secret that was put

	mu      sync.Mutex
	cut     *regexp.Regexp // call at whose answer the program is killed
	process *os.Process
}

// operate makes the operator's computer, and what there is of the deployment in
// the account.
func (r *awsRotation) operate(t *testing.T) {
	t.Helper()
	o := &r.operator
	o.program, o.dir = testhost.Binary(t), t.TempDir()
	settings := "name: stats\nregion: " + awstest.Region + "\nprofile: standard\ndomain: " + awsDomain + "\nemail: owner@example.org\ninstance: {image: ami-0123456789abcdef0}\n"
	if err := os.WriteFile(o.dir+"/rocca-aws.yaml", []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	between := httptest.NewServer(o.toAWS(t, r.cloud.Endpoint))
	t.Cleanup(between.Close)
	o.environment = append(r.cloud.Environment(), "AWS_ENDPOINT_URL="+between.URL, "HOME="+o.dir, "PATH="+run.Path)

	app, err := r.secretsManager(t).DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String(appSecret)})
	if err != nil {
		t.Fatal(err)
	}
	for role, outputs := range map[string]map[string]string{
		stack.Base: {"HostRole": hostRole, "Key": "arn:aws:kms:" + awstest.Region + ":" + awstest.Account + ":key/1"},
		stack.Data: {"Secret": *app.ARN, "Database": "stats-matomo", "MasterSecret": r.master},
	} {
		values := map[string]any{}
		for name, value := range outputs {
			values[name] = map[string]string{"Value": value}
		}
		template, err := json.Marshal(map[string]any{"Resources": map[string]any{"Topic" + role: map[string]string{"Type": "AWS::SNS::Topic"}}, "Outputs": values})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cloudformation.NewFromConfig(r.cloud.Config(t)).CreateStack(t.Context(), &cloudformation.CreateStackInput{
			StackName: aws.String("stats-" + role), TemplateBody: aws.String(string(template)),
			Tags: []cftypes.Tag{{Key: aws.String(stack.DeploymentTag), Value: aws.String("stats")}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	r.cloud.Answer("ec2", "DescribeInstances", r.describeInstances)
	r.cloud.Answer("iam", "PutRolePolicy", r.putRolePolicy)
	r.cloud.Answer("iam", "DeleteRolePolicy", r.deleteRolePolicy)
	r.cloud.Answer("ssm", "SendCommand", r.sendCommand)
	r.cloud.Answer("ssm", "GetCommandInvocation", r.invocation)
	t.Cleanup(r.commands.running.Wait)
}

const hostRole = "stats-host"

// toAWS passes calls on, learns what passwords there are, and ends the program
// at the answer of the call that was chosen: it is made, and not heard of.
func (o *operator) toAWS(t *testing.T, endpoint string) http.Handler {
	address, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	onward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(address) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // it was killed just then
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
		onward.ServeHTTP(answer, r)
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		o.mu.Lock()
		defer o.mu.Unlock()
		if operation == "PutSecretValue" {
			o.learn(t, body)
		}
		if o.cut != nil && o.cut.MatchString(operation+" "+string(body)+" "+answer.Body.String()) {
			o.cut = nil
			if err := o.process.Kill(); err != nil {
				t.Errorf("kill the program: %v", err)
			}
			return
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}

func (o *operator) learn(t *testing.T, put []byte) {
	var in struct{ SecretString string }
	err := json.Unmarshal(put, &in)
	var derived boot.Secrets
	if err == nil {
		derived, err = boot.Derive([]byte(in.SecretString))
	}
	if err != nil {
		t.Errorf("a version of the app secret that nobody can read: %v", err)
		return
	}
	for _, password := range derived.Accounts {
		o.passwords = append(o.passwords, password.Reveal())
	}
}

// rocca runs rocca aws rotate db. With a cut it is killed at the answer of the
// call that matches.
func (o *operator) rocca(t *testing.T, cut string, arguments ...string) (printed string, killed bool, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), o.program, append([]string{"aws", "rotate", "db", "--config", o.dir + "/rocca-aws.yaml"}, arguments...)...)
	cmd.Dir, cmd.Env = o.dir, o.environment
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	o.mu.Lock()
	if cut != "" {
		o.cut = regexp.MustCompile(`(?s)^(` + cut + `)`)
	}
	err = cmd.Start()
	o.process = cmd.Process
	o.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.said.Write(both.Bytes())
	killed = cut != "" && o.cut == nil && cmd.ProcessState.ExitCode() == -1
	o.cut = nil
	return both.String(), killed, err
}

func (o *operator) mustRotate(t *testing.T, arguments ...string) string {
	t.Helper()
	printed, _, err := o.rocca(t, "", append(arguments, "--yes")...)
	if err != nil {
		t.Fatalf("rocca aws rotate db %s: %v\n%s", strings.Join(arguments, " "), err, printed)
	}
	return printed
}

// describeInstances lists both hosts; none of them belongs to an incident.
func (r *awsRotation) describeInstances(w http.ResponseWriter, q *http.Request) {
	_ = q.ParseForm()
	_, _ = io.WriteString(w, `<DescribeInstancesResponse><reservationSet>`)
	for _, i := range r.hosts {
		if slices.Contains(q.Form["Filter.2.Value.1"], "running") {
			_, _ = fmt.Fprintf(w, `<item><instancesSet><item><instanceId>%s</instanceId><tagSet><item><key>rocca:role</key><value>servers</value></item></tagSet></item></instancesSet></item>`, instanceID(i.address))
		}
	}
	_, _ = io.WriteString(w, `</reservationSet></DescribeInstancesResponse>`)
}

// putRolePolicy lets instances read the secret that the policy names.
func (r *awsRotation) putRolePolicy(w http.ResponseWriter, q *http.Request) {
	_ = q.ParseForm()
	if q.Form.Get("RoleName") != hostRole || !strings.Contains(q.Form.Get("PolicyDocument"), r.master) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `<ErrorResponse><Error><Code>NoSuchEntity</Code><Message>no such role</Message></Error></ErrorResponse>`)
		return
	}
	r.grant(true)
	_, _ = io.WriteString(w, `<PutRolePolicyResponse/>`)
}

func (r *awsRotation) deleteRolePolicy(w http.ResponseWriter, q *http.Request) {
	_ = q.ParseForm()
	if q.Form.Get("RoleName") != hostRole || !r.read(func() bool { was := r.granted; r.granted = false; return was }) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `<ErrorResponse><Error><Code>NoSuchEntity</Code><Message>no such policy</Message></Error></ErrorResponse>`)
		return
	}
	_, _ = io.WriteString(w, `<DeleteRolePolicyResponse/>`)
}

// commands are those of Systems Manager.
type commands struct {
	mu      sync.Mutex
	results map[string]map[string]any // by id, such as "switch-3"
	said    bytes.Buffer
	running sync.WaitGroup
}

// sendCommand runs a command on a host as the agent of Systems Manager does:
// whoever asked for it may be gone meanwhile.
func (r *awsRotation) sendCommand(w http.ResponseWriter, q *http.Request) {
	var in struct {
		DocumentName string
		InstanceIDs  []string `json:"InstanceIds"`
		Parameters   struct{ Commands []string }
	}
	err := json.NewDecoder(q.Body).Decode(&in)
	at := slices.IndexFunc(r.hosts, func(i *ec2) bool { return slices.Equal(in.InstanceIDs, []string{instanceID(i.address)}) })
	if err != nil || at < 0 || in.DocumentName != "AWS-RunShellScript" || len(in.Parameters.Commands) != 1 {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type": "ValidationException", "message": "none of the test's"}`)
		return
	}
	host, command := r.hosts[at], in.Parameters.Commands[0]
	c := &r.commands
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.results == nil {
		c.results = map[string]map[string]any{}
	}
	verb := regexp.MustCompile(`rocca host (\w+)`).FindStringSubmatch(command)
	id := fmt.Sprintf("%s-%d", verb[len(verb)-1], len(c.results))
	c.results[id] = map[string]any{"Status": "InProgress", "ResponseCode": -1}
	c.running.Go(func() {
		result, err := host.Try(run.Command{Argv: []string{"sh", "-c", command}, Env: host.endpoint()})
		status := "Success"
		if err != nil {
			status = "Failed"
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.results[id] = map[string]any{"Status": status, "StatusDetails": status, "ResponseCode": exitCode(err), "StandardOutputContent": string(result.Stdout), "StandardErrorContent": string(result.Stderr)}
		c.said.Write(result.Stdout)
		c.said.Write(result.Stderr)
	})
	_ = json.NewEncoder(w).Encode(map[string]any{"Command": map[string]string{"CommandId": id}})
}

func (r *awsRotation) invocation(w http.ResponseWriter, q *http.Request) {
	var in struct {
		CommandID string `json:"CommandId"`
	}
	_ = json.NewDecoder(q.Body).Decode(&in)
	r.commands.mu.Lock()
	defer r.commands.mu.Unlock()
	_ = json.NewEncoder(w).Encode(r.commands.results[in.CommandID])
}

// ask is something that visitors or users ask of a host again and again.
type ask struct {
	host   *ec2
	client *http.Client
	method string
	target string
	form   url.Values
	good   func(status int, body string) bool
}

// do asks once, for somebody at that address: the front lets each ask it 20 times
// a second.
func (a ask) do(visitor string) error {
	request, err := http.NewRequest(a.method, "https://"+awsDomain+"/"+a.target, strings.NewReader(a.form.Encode()))
	if err != nil {
		return err
	}
	if a.form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	request.Header.Set("X-Forwarded-For", visitor)
	request.Header.Set("X-Forwarded-Proto", "https")
	answer, err := a.client.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", a.host.address, err)
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil {
		return fmt.Errorf("%s: %s %s: %w", a.host.address, a.method, a.target, err)
	}
	if !a.good(answer.StatusCode, string(body)) {
		return fmt.Errorf("%s: %s %s: status %d, %.200q", a.host.address, a.method, a.target, answer.StatusCode, body)
	}
	return nil
}

// visitAll begins to ask both hosts for hits, the login page and an API call.
func (r *awsRotation) visitAll(t *testing.T) {
	t.Helper()
	r.before = r.hits(t)
	token := r.hosts[0].visitor(t, atBalancer, awsDomain).token("owner", r.secrets.Superuser.Reveal())
	for _, i := range r.hosts {
		client := func() *http.Client { return i.visitor(t, atBalancer, awsDomain).client }
		r.asks = append(r.asks,
			ask{i, client(), "GET", "matomo.php?idsite=1&rec=1&send_image=0&url=https%3A%2F%2Fexample.org%2F", nil, func(status int, _ string) bool {
				if status == 204 {
					r.recorded.Add(1)
				}
				return status == 204
			}},
			ask{i, client(), "GET", "", nil, func(status int, body string) bool { return status == 200 && nonceField.MatchString(body) }},
			ask{i, client(), "POST", "index.php?module=API&format=json&method=API.getMatomoVersion", form("token_auth", token), func(status int, body string) bool {
				return status == 200 && strings.Contains(body, `"value"`)
			}})
	}
	stopped := make(chan struct{})
	r.load = &load{stop: sync.OnceFunc(func() { close(stopped) }), failures: make(chan string, 1000)}
	t.Cleanup(func() { r.load.stop(); r.load.work.Wait() })
	for n, a := range r.asks {
		r.load.work.Go(func() {
			for {
				r.load.asked.Add(1)
				if err := a.do(fmt.Sprintf("203.0.113.%d", n+1)); err != nil {
					r.load.fails(err.Error())
				}
				select {
				case <-stopped:
					return
				case <-time.After(60 * time.Millisecond): // what people leave between two
				}
			}
		})
	}
}

// samples are the command lines that were seen.
type samples struct {
	stop func()
	work sync.WaitGroup
	seen map[string]bool
}

// sample looks at the command lines of all processes on the hosts, and of the
// operator's program, until the test ends.
func (r *awsRotation) sample(t *testing.T) {
	s := &r.cmdlines
	hosts := map[string]bool{}
	for _, i := range r.hosts {
		inside, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", i.LeaderPID()))
		if err != nil {
			t.Fatal(err)
		}
		hosts[inside] = true
	}
	stopped := make(chan struct{})
	s.seen, s.stop = map[string]bool{}, sync.OnceFunc(func() { close(stopped) })
	t.Cleanup(func() { s.stop(); s.work.Wait() })
	s.work.Go(func() {
		for {
			names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, name := range names {
				line, _ := os.ReadFile(name)
				inside, _ := os.Readlink(filepath.Dir(name) + "/ns/pid")
				if hosts[inside] || bytes.Contains(line, []byte(r.operator.dir)) {
					s.seen[string(line)] = true
				}
			}
			select {
			case <-stopped:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
}

// settled checks that no rotation is under way, that both hosts work with what
// AWS says is current, and that nothing else is left; it tells in which slot.
func (r *awsRotation) settled(t *testing.T) blueprint.Slot {
	t.Helper()
	is, err := r.secretsManager(t).DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String(appSecret)})
	if err != nil {
		t.Fatal(err)
	}
	for version, labels := range is.VersionIdsToStages {
		for _, label := range labels {
			if label != "AWSCURRENT" && label != "AWSPREVIOUS" {
				t.Errorf("version %s has the label %s still", version, label)
			}
		}
	}
	current, err := r.secretsManager(t).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String(appSecret), VersionStage: aws.String("AWSCURRENT")})
	if err != nil {
		t.Fatal(err)
	}
	derived, err := boot.Derive([]byte(*current.SecretString))
	if err != nil {
		t.Fatal(err)
	}
	slot := derived.Slot
	if slot == "" {
		slot = blueprint.SlotA
	}
	for _, i := range r.hosts {
		if a := r.done(t, i, "account"); a.Slot != string(slot) || a.Version != *current.VersionId || a.Unfinished != "" {
			t.Errorf("current is version %s in slot %s, and %s works with %+v", *current.VersionId, slot, i.address, a)
		}
	}
	logins := func(slot blueprint.Slot) string {
		var quoted []string
		for _, user := range blueprint.RemoteUsers() {
			quoted = append(quoted, "'"+slot.Login(user)+"'")
		}
		return strings.Join(quoted, ", ")
	}
	for question, want := range map[string]string{
		"SELECT COUNT(*) FROM mysql.global_priv WHERE NOT JSON_VALUE(Priv, '$.account_locked') <=> 1 AND User IN (" + logins(slot) + ")":         "3",
		"SELECT COUNT(*) FROM mysql.global_priv WHERE NOT JSON_VALUE(Priv, '$.account_locked') <=> 1 AND User IN (" + logins(slot.Other()) + ")": "0",
		"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER IN (" + logins(slot.Other()) + ")":                                       "0",
	} {
		if got := r.database.sql(t, question); got != want {
			t.Errorf("%s: %s, want %s; the accounts are %s", question, got, want, r.locked(t))
		}
	}
	if r.read(func() bool { return r.granted }) {
		t.Error("instances may read the administrator's secret still")
	}
	r.work(t)
	return slot
}

// work asks everything once.
func (r *awsRotation) work(t *testing.T) {
	t.Helper()
	for n, a := range r.asks {
		if err := a.do(fmt.Sprintf("198.51.100.%d", n+1)); err != nil {
			t.Error(err)
		}
	}
}

func (r *awsRotation) testPlan(t *testing.T) {
	planned, _, err := r.operator.rocca(t, "", "--dry-run")
	if err != nil || !strings.Contains(planned, "in slot b") || !strings.Contains(planned, "users notice nothing") {
		t.Fatalf("the plan: %v\n%s", err, planned)
	}
	if slot := r.settled(t); slot != blueprint.SlotA || len(r.operator.passwords) > 0 {
		t.Errorf("a plan has changed something: slot %s", slot)
	}
}

func (r *awsRotation) testRotates(t *testing.T) {
	began := time.Now()
	if printed := r.operator.mustRotate(t); !strings.Contains(printed, "Done: nothing uses what is old any more.") {
		t.Errorf("%s", printed)
	}
	t.Logf("it took %s", time.Since(began).Round(time.Second/10))
	if slot := r.settled(t); slot != blueprint.SlotB {
		t.Errorf("the hosts are in slot %s", slot)
	}
}

// testKilled kills the operator's program at calls that are made and not heard
// of; then, from the same computer, it goes on or back.
func (r *awsRotation) testKilled(t *testing.T) {
	for _, cut := range []struct{ when, at, action string }{
		{"the new version is put", `PutSecretValue `, "abort"},
		{"the accounts are being made", `SendCommand .* host prepare `, "abort"},
		{"the accounts are made", `GetCommandInvocation .*"prepare-.*"Success"`, "resume"},
		{"the first host has gone over", `GetCommandInvocation .*"switch-.*"Success"`, "abort"},
		{"the second host goes over", `SendCommand .* host switch .*` + instanceID(atSecond) + `|SendCommand .*` + instanceID(atSecond) + `.* host switch `, "resume"},
		{"servers to come use the new version", `UpdateSecretVersionStage .*"AWSCURRENT"`, "abort"},
		{"servers to come use the new version", `UpdateSecretVersionStage .*"AWSCURRENT"`, "resume"},
	} {
		t.Run(cut.when+", then "+cut.action, func(t *testing.T) { r.killedAt(t, cut.at, cut.action) })
	}
}

func (r *awsRotation) killedAt(t *testing.T, cut, action string) {
	before := r.settled(t)
	began := time.Now()
	printed, killed, err := r.operator.rocca(t, cut, "--yes")
	if !killed {
		t.Fatalf("it was not killed: %v\n%s", err, printed)
	}
	r.work(t)
	r.operator.mustRotate(t, action)
	want := map[string]blueprint.Slot{"abort": before, "resume": before.Other()}[action]
	if slot := r.settled(t); slot != want {
		t.Errorf("the hosts are in slot %s, want %s", slot, want)
	}
	t.Logf("it took %s", time.Since(began).Round(time.Second/10))
}

// testNoneLost: what was answered is in the database, once.
func (r *awsRotation) testNoneLost(t *testing.T) {
	r.load.end(t)
	var before, after int64
	if _, err := fmt.Sscan(r.before+" "+r.hits(t), &before, &after); err != nil {
		t.Fatal(err)
	}
	if got, want := after-before, r.recorded.Load(); got != want {
		t.Errorf("%d hits were answered, and %d are in the database", want, got)
	}
	t.Logf("%d hits", r.recorded.Load())
}

// testNothingShown looks for passwords wherever a rotation left something.
func (r *awsRotation) testNothingShown(t *testing.T) {
	o := &r.operator
	r.cmdlines.stop()
	r.cmdlines.work.Wait()
	r.commands.running.Wait()
	planted := slices.Concat(o.passwords, []string{masterPassword, instanceSeed})
	for _, password := range r.secrets.Accounts {
		planted = append(planted, password.Reveal())
	}
	places := map[string]string{"printed by the operator's program": o.said.String(), "answered by a host": r.commands.said.String() + r.said.String()}
	var lines strings.Builder
	for line := range r.cmdlines.seen {
		lines.WriteString(strings.ReplaceAll(line, "\x00", " ") + "\n")
	}
	places["in a command line"] = lines.String()
	if err := filepath.WalkDir(o.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(name)
		places["in "+name] = string(content)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for place, has := range map[string]string{
		"printed by the operator's program": "Done: ", "answered by a host": `"slot":"b"`, "in a command line": " host switch --version ", "in " + o.dir + "/.rocca-rotate/stats-db.json": `"ended"`,
	} {
		if !strings.Contains(places[place], has) {
			t.Errorf("nothing was looked at: what is %s lacks %q", place, has)
		}
	}
	for place, text := range places {
		for _, password := range planted {
			if strings.Contains(text, password) {
				t.Errorf("a password (%.4s...) is %s", password, place)
			}
		}
	}
	for _, i := range r.hosts {
		// One more, to see that it would be found.
		const control = "Control-Of-The-Test-1"
		i.run(t, "logger", control)
		i.run(t, "journalctl", "--sync")
		const list = "/run/secrets-of-the-test"
		found, err := i.Try(run.Command{Argv: []string{"sh", "-c", "umask 077; cat >" + list + "; journalctl --all --no-pager | grep --text --count --fixed-strings --file " + list + "; rm " + list},
			Stdin: strings.NewReader(strings.Join(append(planted, control), "\n") + "\n")})
		if count := strings.TrimSpace(string(found.Stdout)); err != nil || count != "1" {
			t.Errorf("%s: the journal has %s passwords, want the control only; %v", i.address, count, err)
		}
	}
	t.Logf("%d passwords, %d command lines", len(planted), len(r.cmdlines.seen))
}
