package rotate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/client"
	"rocca/internal/aws/instance/boot"
	"rocca/internal/aws/provision"
	"rocca/internal/blueprint"
	"rocca/internal/progress"
	"rocca/internal/secret"
)

const (
	deployment  = "stats"
	hostRole    = "stats-host"
	plantedSeed = "seedSEEDseedSEEDseedSEEDseedSEEDseedSEEDseedSEEDseedSEEDseedSEED"
	plantedPass = "cacheCACHEcacheCACHEcacheCACHE"
)

// world is a deployment in moto whose servers, database and cache are here.
type world struct {
	t     *testing.T
	cloud *awstest.Cloud
	admin client.Config // sees everything, and is in nobody's way
	arn   string        // of the app secret

	happening sync.Mutex // held while before happens

	mu       sync.Mutex
	launched int
	servers  map[string]*fakeServer
	database map[string]login // by name
	cache    []string         // passwords that are taken
	tokens   []Token
	answers  map[string]answer
	sessions map[string]int                             // that a slot has, which end one by one when somebody looks
	fail     func(id, verb string, args []string) error // makes a verb fail
	locked   func(verb string) bool                     // another rocca is at work
	before   func(id, verb string)                      // happens first
	ran      []string                                   // "ID verb args"
	texts    bytes.Buffer                               // all that was told
	journals string
}

type login struct {
	password string
	locked   bool
}

// fakeServer is what a server has written into its configuration.
type fakeServer struct {
	role          string
	version, slot string
	accounts      map[string]string // login to password
	cache         string
	salt          string
	booting       bool
	underWay      string // version that a switch goes over to which is still at work
}

type answer struct {
	out, err string
	code     int
}

func newWorld(t *testing.T, cloud *awstest.Cloud, roles ...string) *world {
	t.Helper()
	w := &world{
		t: t, cloud: cloud, admin: cloud.Config(t), journals: filepath.Join(t.TempDir(), "journals"),
		servers: map[string]*fakeServer{}, database: map[string]login{}, answers: map[string]answer{}, sessions: map[string]int{},
	}
	w.ask("secretsmanager:CreateSecret", client.Fields{"Name": "rocca/" + deployment + "/cache", "SecretString": plantedPass}, nil)
	var made struct{ ARN string }
	w.ask("secretsmanager:CreateSecret", client.Fields{"Name": "rocca/" + deployment + "/app", "SecretString": `{"seed":"` + plantedSeed + `","cache":"` + plantedPass + `"}`}, &made)
	w.arn = made.ARN
	_, err := iam.NewFromConfig(w.admin).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String(hostRole), AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[]}`)})
	if err != nil {
		t.Fatal(err)
	}
	w.setAccounts(w.current(), false)
	w.cache = []string{plantedPass}
	cloud.Answer("ec2", "DescribeInstances", w.describeInstances)
	cloud.Answer("ssm", "SendCommand", w.sendCommand)
	cloud.Answer("ssm", "GetCommandInvocation", w.invocation)
	cloud.Answer("elasticache", "DescribeUsers", awstest.Say(http.StatusOK, `<DescribeUsersResponse><DescribeUsersResult><Users><member><UserId>stats-matomo</UserId><Status>active</Status></member></Users></DescribeUsersResult></DescribeUsersResponse>`))
	cloud.Answer("elasticache", "ModifyUser", w.modifyUser)
	for _, role := range roles {
		w.launch(role)
	}
	return w
}

func (w *world) ask(action string, in client.Fields, out any) {
	w.t.Helper()
	if err := client.Ask(context.Background(), w.admin, action, in, out); err != nil {
		w.t.Fatal(err)
	}
}

// launch starts a server, which boots with the current secret.
func (w *world) launch(role string) string {
	s := &fakeServer{role: role}
	w.configure(s, w.current())
	w.mu.Lock()
	defer w.mu.Unlock()
	w.launched++
	id := fmt.Sprintf("i-%d", w.launched)
	w.servers[id] = s
	return id
}

func (w *world) terminate(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.servers, id)
}

// describeInstances is that of EC2, which moto would be slow at. None belongs
// to an incident.
func (w *world) describeInstances(out http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = io.WriteString(out, `<DescribeInstancesResponse><reservationSet>`)
	for id, s := range w.servers {
		if !slices.Contains(r.Form["Filter.2.Value.1"], "running") {
			break
		}
		_, _ = fmt.Fprintf(out, `<item><instancesSet><item><instanceId>%s</instanceId><tagSet><item><key>rocca:role</key><value>%s</value></item></tagSet></item></instancesSet></item>`, id, s.role)
	}
	_, _ = io.WriteString(out, `</reservationSet></DescribeInstancesResponse>`)
}

// labels are those of the app secret's versions.
func (w *world) labels() map[string][]string {
	var is struct {
		Versions map[string][]string `json:"VersionIdsToStages"`
	}
	w.ask("secretsmanager:DescribeSecret", client.Fields{"SecretId": w.arn}, &is)
	return is.Versions
}

func (w *world) current() string {
	for version, labels := range w.labels() {
		if slices.Contains(labels, labelCurrent) {
			return version
		}
	}
	w.t.Fatal("no version of the app secret is current")
	return ""
}

// secrets reads a version as a server does.
func (w *world) secrets(version string) (boot.Secrets, string, error) {
	var value struct{ SecretString string }
	if err := client.Ask(context.Background(), w.admin, "secretsmanager:GetSecretValue", client.Fields{"SecretId": w.arn, "VersionId": version}, &value); err != nil {
		return boot.Secrets{}, "", err
	}
	derived, err := boot.Derive([]byte(value.SecretString))
	if err != nil {
		return boot.Secrets{}, "", err
	}
	slot, err := slotOf(secret.New(value.SecretString))
	return derived, slot, err
}

func (w *world) configure(s *fakeServer, version string) {
	derived, slot, err := w.secrets(version)
	if err != nil {
		w.t.Error(err)
		return
	}
	s.version, s.slot, s.cache, s.salt, s.accounts = version, slot, derived.Cache.Reveal(), derived.Salt.Reveal(), map[string]string{}
	for user, password := range derived.Accounts {
		s.accounts[blueprint.Slot(slot).Login(user)] = password.Reveal()
	}
}

// setAccounts makes the accounts of a version work. stale gives them another
// password, as a database has that was restored.
func (w *world) setAccounts(version string, stale bool) {
	derived, slot, err := w.secrets(version)
	if err != nil {
		w.t.Error(err)
		return
	}
	for user, password := range derived.Accounts {
		text := password.Reveal()
		if stale {
			text = "stale"
		}
		w.database[blueprint.Slot(slot).Login(user)] = login{password: text}
	}
}

// prepare makes accounts, but takes none away from who works with it.
func (w *world) prepare(host *fakeServer, version string) error {
	made := &fakeServer{}
	w.configure(made, version)
	for name, password := range made.accounts {
		if is := w.database[name]; is.locked || is.password != password {
			if _, works := host.accounts[name]; works {
				return fmt.Errorf("this host works with %s, and the secret has another password: it is in use", name)
			}
			for id, s := range w.servers {
				if s.accounts[name] != "" && s.accounts[name] == is.password && !is.locked {
					return fmt.Errorf("%s has another password and sessions of %s: it is in use", name, id)
				}
			}
		}
	}
	w.setAccounts(version, false)
	return nil
}

// works tells what a server cannot do with what it has.
func (w *world) works(s *fakeServer) error {
	for name, password := range s.accounts {
		if is, there := w.database[name]; !there || is.locked || is.password != password {
			return fmt.Errorf("the database does not let %s in (there %v, locked %v)", name, there, is.locked)
		}
	}
	if !slices.Contains(w.cache, s.cache) {
		return errors.New("the cache does not let it in")
	}
	return nil
}

// granted tells whether servers may be the database's administrator.
func (w *world) granted() bool {
	_, err := iam.NewFromConfig(w.admin).GetRolePolicy(context.Background(), &iam.GetRolePolicyInput{RoleName: aws.String(hostRole), PolicyName: aws.String(provision.PolicyName)})
	return err == nil
}

func (w *world) sendCommand(out http.ResponseWriter, r *http.Request) {
	var in struct {
		InstanceIds []string //nolint:revive // AWS's name
		Parameters  map[string][]string
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		w.t.Error(err)
	}
	words := strings.Fields(in.Parameters["commands"][0])
	a := w.run(in.InstanceIds[0], words[2:])
	w.mu.Lock()
	defer w.mu.Unlock()
	id := fmt.Sprintf("command-%d", len(w.answers))
	w.answers[id] = a
	_, _ = fmt.Fprintf(out, `{"Command":{"CommandId":%q}}`, id)
}

func (w *world) invocation(out http.ResponseWriter, r *http.Request) {
	var in struct {
		ID string `json:"CommandId"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.answers[in.ID]
	status := "Success"
	if a.code != 0 {
		status = "Failed"
	}
	_ = json.NewEncoder(out).Encode(map[string]any{"Status": status, "StatusDetails": status, "ResponseCode": a.code, "StandardOutputContent": a.out, "StandardErrorContent": a.err})
}

func (w *world) modifyUser(out http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.Form.Get("UserId") != "stats-matomo" || r.Form.Get("AuthenticationMode.Type") != "password" {
		w.t.Errorf("the cache was asked for %v of %s, %v", r.Form["AuthenticationMode.Type"], r.Form.Get("UserId"), err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cache = nil
	for i := 1; r.Form.Get(fmt.Sprintf("AuthenticationMode.Passwords.member.%d", i)) != ""; i++ {
		w.cache = append(w.cache, r.Form.Get(fmt.Sprintf("AuthenticationMode.Passwords.member.%d", i)))
	}
	_, _ = io.WriteString(out, `<ModifyUserResponse><ModifyUserResult/></ModifyUserResponse>`)
}

// run is rocca on a server.
func (w *world) run(id string, words []string) answer {
	refuse := func(err error) answer { return answer{err: "rocca: " + err.Error() + "\n", code: 5} }
	verb := words[0]
	if verb == "host" {
		verb = words[1]
	}
	if w.before != nil {
		w.happening.Lock()
		w.before(id, verb)
		w.happening.Unlock()
	}
	administers := slices.Contains([]string{"prepare", "retire", "repair"}, verb)
	granted := administers && w.granted()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ran = append(w.ran, id+" "+strings.Join(words, " "))
	s := w.servers[id]
	if s == nil {
		return refuse(errors.New("the server is gone"))
	}
	if s.booting {
		return refuse(errors.New("the server boots"))
	}
	if w.locked != nil && w.locked(verb) {
		return answer{err: "rocca: another rocca is at work\n", code: exitLocked}
	}
	if w.fail != nil {
		if err := w.fail(id, verb, words); err != nil {
			return refuse(err)
		}
	}
	value := func(flag string) string { return words[slices.Index(words, flag)+1] }
	if administers && !granted {
		return refuse(errors.New("read the administrator's secret: AccessDeniedException"))
	}
	switch verb {
	case "account":
		unfinished := ""
		if s.underWay != "" {
			unfinished = "switch"
		}
		return answer{out: fmt.Sprintf(`{"slot":%q,"version":%q,"unfinished":%q}`, s.slot, s.version, unfinished)}
	case "prepare":
		if err := w.prepare(s, value("--version")); err != nil {
			return refuse(err)
		}
	case "repair":
		w.setAccounts(w.current(), false)
		w.configure(s, w.current())
	case "switch":
		if s.underWay != "" { // which ends now
			w.configure(s, s.underWay)
			s.underWay = ""
			return answer{err: "rocca: another rocca is at work\n", code: exitLocked}
		}
		was := *s
		w.configure(s, value("--version")) // keeps the role
		if err := w.works(s); err != nil {
			*s = was
			return refuse(err)
		}
	case "retire":
		slot := value("--slot")
		if w.sessions[slot] > 0 {
			w.sessions[slot]--
			return answer{code: 1, out: fmt.Sprintf(`{"slot":%q,"locked":[],"sessions":%d}`, slot, w.sessions[slot]+1), err: "rocca: retire slot a: there are sessions of it: 3\nhint: an archive run\n"}
		}
		for _, user := range blueprint.RemoteUsers() {
			name := blueprint.Slot(slot).Login(user)
			if _, there := w.database[name]; there {
				w.database[name] = login{password: secret.Random(20).Reveal(), locked: true}
			}
		}
		for id, other := range w.servers {
			if other.slot == slot && !other.booting {
				w.t.Errorf("slot %s was locked while %s uses it", slot, id)
			}
		}
	case "rotate":
		if slices.Contains(words, "--yes") {
			w.tokens = nil
		}
		list, _ := json.Marshal(w.tokens)
		return answer{out: `{"kind":"note"}` + "\n" + `{"kind":"result","tokens":` + string(list) + `,"revoked":0}` + "\n"}
	default:
		w.t.Errorf("a server was asked for %q", words)
	}
	return answer{out: "{}\n"}
}

// open is the deployment as somebody with these rights sees it.
func (w *world) open(c client.Config) *Deployment {
	d := Deployment{
		Cloud: c, Name: deployment, Secret: w.arn, Database: "stats-matomo", Cache: true, Wait: time.Minute, Journals: w.journals,
		Right: provision.Right{Role: hostRole, Secret: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-1", Key: "arn:aws:kms:eu-central-1:123456789012:key/1", Region: awstest.Region},
		Tell:  progress.JSON(&w.texts),
	}.Open()
	d.pause = time.Millisecond
	return d
}

// do plans and does.
func (w *world) do(ctx context.Context, c client.Config, kind Kind, action Action) error {
	d := w.open(c)
	p, err := d.Plan(ctx, kind, action)
	if err == nil {
		w.mu.Lock()
		p.Show(&w.texts)
		text, _ := json.Marshal(p)
		w.texts.Write(text)
		w.mu.Unlock()
		err = d.Do(ctx, p)
	}
	if err != nil {
		fmt.Fprintln(&w.texts, err)
	}
	return err
}

// safe checks what holds at each moment: every server has accounts that work,
// and the secrets that it and those that boot use can be read.
func (w *world) safe(when string) {
	w.t.Helper()
	current := w.current()
	fresh := &fakeServer{}
	w.configure(fresh, current)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.works(fresh); err != nil {
		w.t.Errorf("%s: a server that boots: %v", when, err)
	}
	for id, s := range w.servers {
		if err := w.works(s); err != nil {
			w.t.Errorf("%s: %s: %v", when, id, err)
		}
		if _, _, err := w.secrets(s.version); err != nil {
			w.t.Errorf("%s: the secret of %s: %v", when, id, err)
		}
	}
}

// settled checks that no rotation is under way, and nothing of one is left.
func (w *world) settled(when string) {
	w.t.Helper()
	w.safe(when)
	current := ""
	for version, labels := range w.labels() {
		if slices.Contains(labels, labelCurrent) {
			current = version
		}
		for _, label := range labels {
			if label != labelCurrent && label != labelPrevious {
				w.t.Errorf("%s: version %s has the label %s", when, version, label)
			}
		}
	}
	_, slot, err := w.secrets(current)
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	for id, s := range w.servers {
		if s.version != current {
			w.t.Errorf("%s: %s uses %s, current is %s", when, id, s.version, current)
		}
	}
	for _, user := range blueprint.RemoteUsers() {
		name := blueprint.Slot(slot).Other().Login(user)
		if is, there := w.database[name]; there && !is.locked {
			w.t.Errorf("%s: %s is not locked", when, name)
		}
	}
	if len(w.cache) != 1 {
		w.t.Errorf("%s: the cache takes %d passwords", when, len(w.cache))
	}
	w.mu.Unlock()
	if w.granted() {
		w.t.Errorf("%s: servers may be the database's administrator still", when)
	}
}

// silent checks that no secret was told or written.
func (w *world) silent() {
	w.t.Helper()
	secrets := map[string]bool{plantedSeed: true, plantedPass: true}
	for version := range w.labels() {
		derived, _, err := w.secrets(version)
		if err != nil {
			w.t.Fatal(err)
		}
		secrets[derived.Salt.Reveal()], secrets[derived.Cache.Reveal()] = true, true
		for _, password := range derived.Accounts {
			secrets[password.Reveal()] = true
		}
	}
	if len(secrets) < 7 {
		w.t.Errorf("only %d secrets are known", len(secrets))
	}
	texts := map[string][]byte{"output": w.texts.Bytes(), "commands": []byte(strings.Join(w.ran, "\n"))}
	err := filepath.WalkDir(w.journals, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			texts[name], err = os.ReadFile(name)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Fatal(err)
	}
	for where, text := range texts {
		for value := range secrets {
			if bytes.Contains(text, []byte(value)) {
				w.t.Errorf("a secret is in %s", where)
			}
		}
	}
}

// cut ends a program at its nth call that changes something.
type cut struct {
	mu     sync.Mutex
	at     int  // counted from 1; 0: never
	after  bool // the call is made, and its answer lost
	kill   bool // nothing is called any more, as after kill -9; else as after Ctrl-C
	cancel context.CancelCauseFunc

	seen  int
	dead  bool
	where string // the call at which it ended
	calls map[string]bool
}

// operation is a call as IAM names it.
func operation(r *http.Request, body []byte) string {
	service := regexp.MustCompile(`/([a-z0-9-]+)/aws4_request`).FindStringSubmatch(r.Header.Get("Authorization"))
	name := regexp.MustCompile(`(?:^|&)Action=([A-Za-z0-9]+)`).FindSubmatch(body)
	if _, target, targeted := strings.Cut(r.Header.Get("X-Amz-Target"), "."); targeted {
		return service[1] + ":" + target
	}
	return service[1] + ":" + string(name[1])
}

var changing = regexp.MustCompile(`(PutSecretValue|UpdateSecretVersionStage|PutRolePolicy|DeleteRolePolicy|ModifyUser|SendCommand.*(prepare|switch|retire|repair))`)

var errCut = errors.New("interrupted (killed)")

func (c *cut) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	what := changing.FindString(r.Header.Get("X-Amz-Target") + " " + string(body))
	c.mu.Lock()
	if c.calls == nil {
		c.calls = map[string]bool{}
	}
	c.calls[operation(r, body)] = true
	hit := false
	if what != "" && !c.dead {
		c.seen++
		hit = c.seen == c.at
	}
	if hit {
		c.dead, c.where = true, what
	}
	gone := c.dead && (c.kill || hit && !c.after)
	c.mu.Unlock()
	if hit {
		defer c.cancel(errCut)
	}
	if gone && !(hit && c.after) {
		return nil, errCut
	}
	answer, err := http.DefaultClient.Do(r)
	if hit && err == nil {
		answer.Body.Close()
		return nil, errCut
	}
	return answer, err
}

// interrupt does something that is ended at a call, and tells at which.
func (w *world) interrupt(c *cut, config client.Config, kind Kind, action Action) (where string) {
	ctx, cancel := context.WithCancelCause(w.t.Context())
	defer cancel(nil)
	c.cancel = cancel
	config.HTTPClient = c
	err := w.do(ctx, config, kind, action)
	if c.where == "" && err != nil {
		w.t.Errorf("%s %s: %v", kind, action, err)
	}
	return c.where
}

func (w *world) slots() string {
	slots := map[string]bool{}
	for _, s := range w.servers {
		slots[s.slot] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(slots)), "")
}
