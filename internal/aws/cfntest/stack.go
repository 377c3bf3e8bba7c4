package cfntest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// mostTemplateBytes is the service's own limit for a TemplateBody.
const mostTemplateBytes = 51200

// stack is one stack. What it is at a moment is what its events up to then say.
type stack struct {
	id, name   string
	created    time.Time
	template   template
	tags       map[string]string
	resources  map[string]resource
	sets       []*changeSet
	events     []event // in order of time; those ahead have not happened
	outcome    func()  // of the operation that runs
	protected  bool
	policy     policy
	policyText string
}

type resource struct{ logical, physical, kind string }

type template struct {
	text      string
	Resources map[string]map[string]any
	Outputs   map[string]struct {
		Description string
		Value       any
	}
}

// changeSet is one change set.
type changeSet struct {
	id, name, description string
	creates               bool
	deletesOnFailure      bool
	template              template
	tags                  map[string]string
	changes               []change
	ready                 time.Time
	status, reason        string // from then on
	execution             string
}

// change is what a change set does to one resource.
type change struct {
	id, kind, action string // Add, Modify or Remove
	physical         string
	replaces         bool
	policyAction     string
	scope            []string
	details          []detail
}

type detail struct{ attribute, name, before, after, recreation string }

// Stack is a stack that is there before a test begins.
type Stack struct {
	Name     string
	Status   string // such as UPDATE_ROLLBACK_FAILED; empty: CREATE_COMPLETE
	Template string // JSON; what it has was made
	Tags     map[string]string
}

// Put puts a stack into the account.
func (s *Server) Put(of Stack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.newStack(of.Name)
	one.tags = of.Tags
	if of.Status == "" {
		of.Status = "CREATE_COMPLETE"
	}
	parsed, err := parse(of.Template)
	if err != nil {
		panic(err)
	}
	one.template = parsed
	for id, r := range one.template.Resources {
		kind := fmt.Sprint(r["Type"])
		one.resources[id] = resource{id, s.newPhysical(of.Name, id, kind), kind}
	}
	t := &teller{of: one}
	begin := s.now.Add(-time.Hour)
	verb := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(of.Status, "_COMPLETE"), "_FAILED"), "_IN_PROGRESS")
	t.stack(begin, verb+"_IN_PROGRESS", "User Initiated")
	if !strings.HasSuffix(of.Status, "_IN_PROGRESS") {
		t.stack(begin.Add(time.Minute), of.Status, "")
	}
	s.run(one, t.events, func() {})
}

// Reviewed leaves what an interrupted program leaves: a stack that was never
// made, with a change set of that name.
func (s *Server) Reviewed(name, set string, tags map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.newStack(name)
	one.tags = tags
	t := &teller{of: one}
	t.stack(s.now.Add(-time.Hour), "REVIEW_IN_PROGRESS", "User Initiated")
	s.run(one, t.events, func() {})
	one.sets = append(one.sets, &changeSet{id: s.newARN("changeSet", set), name: set, creates: true, status: "CREATE_COMPLETE", execution: "AVAILABLE"})
}

// Execute executes a change set of a stack as somebody else would.
func (s *Server) Execute(stackName string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.find(stackName)
	set := one.sets[len(one.sets)-1]
	ahead, outcome := s.change(one, set, s.nextStory(stackName))
	s.run(one, ahead, outcome)
}

// Cancel cancels the update of a stack as somebody else would.
func (s *Server) Cancel(stackName string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.cancelUpdateStack(url.Values{"StackName": {stackName}}) // a test sees it by its events
}

// Status is that of a stack; empty when there is none.
func (s *Server) Status(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.find(name); one != nil {
		one.settle(s.now)
		return one.status(s.now)
	}
	return ""
}

// Resources lists the logical ids that a stack has.
func (s *Server) Resources(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.find(name)
	if one == nil {
		return nil
	}
	one.settle(s.now)
	return slices.Sorted(maps.Keys(one.resources))
}

// Protected tells whether a stack may not be deleted, and its stack policy.
func (s *Server) Protected(name string) (protected bool, policy string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.find(name)
	return one.protected, one.policyText
}

// ChangeSets lists the names of a stack's change sets.
func (s *Server) ChangeSets(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.find(name)
	if one == nil {
		return nil
	}
	one.settle(s.now)
	var names []string
	for _, set := range one.sets {
		names = append(names, set.name)
	}
	return names
}

func (s *Server) number() int {
	s.made++
	return s.made
}

func (s *Server) newARN(kind, name string) string {
	return fmt.Sprintf("arn:aws:cloudformation:%s:%s:%s/%s/%08d", Region, Account, kind, name, s.number())
}

// named are types whose ids in AWS have forms that others rely on.
var named = map[string]string{
	"AWS::EC2::VPC":               "vpc-%017x",
	"AWS::EC2::Subnet":            "subnet-%017x",
	"AWS::EC2::SecurityGroup":     "sg-%017x",
	"AWS::EC2::Volume":            "vol-%017x",
	"AWS::EC2::Instance":          "i-%017x",
	"AWS::SecretsManager::Secret": "arn:aws:secretsmanager:" + Region + ":" + Account + ":secret:made-%06d",
	"AWS::SNS::Topic":             "arn:aws:sns:" + Region + ":" + Account + ":made-%06d",
	"AWS::KMS::Key":               "00000000-0000-0000-0000-%012x",
}

func (s *Server) newPhysical(stackName, id, kind string) string {
	if form := named[kind]; form != "" {
		return fmt.Sprintf(form, s.number())
	}
	return fmt.Sprintf("%s-%s-%d", stackName, id, s.number())
}

func (s *Server) newStack(name string) *stack {
	one := &stack{id: s.newARN("stack", name), name: name, created: s.now, resources: map[string]resource{}}
	s.stacks = append(s.stacks, one)
	return one
}

// find looks for a stack by its name, or, also when it was deleted, by its id.
func (s *Server) find(nameOrID string) *stack {
	for _, one := range s.stacks {
		if one.id == nameOrID || one.name == nameOrID && one.status(s.now) != "DELETE_COMPLETE" {
			return one
		}
	}
	return nil
}

// run adds an operation to a stack.
func (s *Server) run(one *stack, ahead []event, outcome func()) {
	slices.SortStableFunc(ahead, func(a, b event) int { return a.at.Compare(b.at) })
	for i := range ahead {
		ahead[i].id = fmt.Sprintf("event-%06d", s.number())
	}
	one.events, one.outcome = append(one.events, ahead...), outcome
	one.settle(s.now)
}

// settle lets an operation take effect that is over.
func (o *stack) settle(now time.Time) {
	if o.outcome != nil && !inProgress(o.status(now)) && len(o.happened(now)) == len(o.events) {
		o.outcome()
		o.outcome = nil
	}
}

func (o *stack) happened(now time.Time) []event {
	n := 0
	for n < len(o.events) && !o.events[n].at.After(now) {
		n++
	}
	return o.events[:n]
}

func (o *stack) status(now time.Time) string {
	status, _ := o.last(now)
	return status
}

func (o *stack) last(now time.Time) (status, reason string) {
	for _, e := range o.happened(now) {
		if e.kind == stackType {
			status, reason = e.status, e.reason
		}
	}
	return status, reason
}

func (o *stack) physical(id string) string { return o.resources[id].physical }

func inProgress(status string) bool { return strings.HasSuffix(status, "_IN_PROGRESS") }

func (c *changeSet) settled(now time.Time) (status, execution, reason string) {
	if now.Before(c.ready) {
		return "CREATE_IN_PROGRESS", "UNAVAILABLE", ""
	}
	return c.status, c.execution, c.reason
}

func parse(text string) (template, error) {
	t := template{text: text}
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return t, invalidf("Template format error: JSON not well-formed. (%v)", err)
	}
	if len(t.Resources) == 0 {
		return t, invalidf("Template format error: At least one Resources member must be defined.")
	}
	return t, nil
}

// recreating are properties whose change gives a new resource, of the types
// that tests use.
var recreating = map[string][]string{
	"AWS::RDS::DBInstance":  {"DBInstanceIdentifier", "StorageEncrypted", "KmsKeyId"},
	"AWS::EC2::Volume":      {"AvailabilityZone"},
	"AWS::EC2::VPC":         {"CidrBlock"},
	"AWS::EC2::Instance":    {"ImageId", "SubnetId"},
	"AWS::S3::Bucket":       {"BucketName"},
	"AWS::EC2::EIP":         {"Domain"},
	"AWS::SSM::Parameter":   {"Name"},
	"AWS::Logs::LogGroup":   {"LogGroupName"},
	"AWS::KMS::Key":         {"KeySpec"},
	"AWS::EC2::NetworkAcl":  {"VpcId"},
	"AWS::Test::Replaceful": {"Name"},
}

// compare tells what a template would change.
func (o *stack) compare(wanted template) []change {
	var changes []change
	for _, id := range slices.Sorted(maps.Keys(wanted.Resources)) {
		now, before := wanted.Resources[id], o.template.Resources[id]
		kind := fmt.Sprint(now["Type"])
		if _, there := o.resources[id]; !there {
			changes = append(changes, change{id: id, kind: kind, action: "Add"})
			continue
		}
		c := change{id: id, kind: kind, action: "Modify", physical: o.physical(id)}
		was, _ := before["Properties"].(map[string]any)
		is, _ := now["Properties"].(map[string]any)
		for _, name := range union(was, is) {
			if text(was[name]) == text(is[name]) {
				continue
			}
			d := detail{"Properties", name, text(was[name]), text(is[name]), "Never"}
			if slices.Contains(recreating[kind], name) {
				d.recreation, c.replaces = "Always", true
			}
			c.details = append(c.details, d)
		}
		if len(c.details) > 0 {
			c.scope = append(c.scope, "Properties")
		}
		for _, attribute := range []string{"DeletionPolicy", "UpdateReplacePolicy"} {
			if text(before[attribute]) != text(now[attribute]) {
				c.scope = append(c.scope, attribute)
				c.details = append(c.details, detail{attribute: attribute, recreation: "Never"})
			}
		}
		if c.replaces {
			c.policyAction = map[string]string{"": "ReplaceAndDelete", "Delete": "ReplaceAndDelete", "Retain": "ReplaceAndRetain", "Snapshot": "ReplaceAndSnapshot"}[plain(now["UpdateReplacePolicy"])]
		}
		if len(c.scope) > 0 {
			changes = append(changes, c)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(o.resources)) {
		if _, stays := wanted.Resources[id]; !stays {
			action := cmp.Or(strings.TrimSuffix(plain(o.template.Resources[id]["DeletionPolicy"]), "ExceptOnCreate"), "Delete")
			changes = append(changes, change{id: id, kind: o.resources[id].kind, action: "Remove", physical: o.physical(id), policyAction: action})
		}
	}
	return changes
}

func union(a, b map[string]any) []string {
	all := maps.Clone(b)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, a)
	return slices.Sorted(maps.Keys(all))
}

func text(value any) string {
	if value == nil {
		return ""
	}
	if s, is := value.(string); is {
		return s
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // it came from JSON
	return strings.TrimSpace(b.String())
}

func plain(value any) string {
	s, _ := value.(string)
	return s
}

// policy is a stack policy, as far as it denies things by logical id.
type policy struct {
	Statement []struct {
		Effect   string
		Action   any
		Resource any
	}
}

func list(value any) []string {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, plain(one))
		}
		return all
	}
	return nil
}

// denies gives the action on a resource that the policy forbids.
func (p policy) denies(c change) string {
	what := map[bool]string{true: "Update:Replace", false: "Update:Modify"}[c.replaces]
	switch c.action {
	case "Add":
		return ""
	case "Remove":
		what = "Update:Delete"
	}
	for _, s := range p.Statement {
		if s.Effect == "Deny" && slices.Contains(list(s.Action), what) && slices.Contains(list(s.Resource), "LogicalResourceId/"+c.id) {
			return what
		}
	}
	return ""
}

// output gives the value of an output.
func (o *stack) output(value any) string {
	m, is := value.(map[string]any)
	if !is {
		return text(value)
	}
	if ref, is := m["Ref"].(string); is {
		return o.physical(ref)
	}
	if path := list(m["Fn::GetAtt"]); len(path) == 2 {
		return o.attribute(path[0], path[1])
	}
	return text(value)
}

// attribute gives a value of the form that the attribute has.
func (o *stack) attribute(id, name string) string {
	physical := o.physical(id)
	switch {
	case strings.HasSuffix(name, "SecretArn"):
		return "arn:aws:secretsmanager:" + Region + ":" + Account + ":secret:" + physical
	case strings.HasSuffix(name, "Arn"):
		return "arn:aws:test:" + Region + ":" + Account + ":" + physical
	case strings.HasSuffix(name, "Address"):
		return strings.ToLower(physical) + "." + Region + ".rds.amazonaws.com"
	case strings.HasSuffix(name, "Port"):
		return "3306"
	}
	return physical + "." + name
}

var (
	stackName     = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]{0,127}$`)
	namedIdentity = regexp.MustCompile(`^AWS::IAM::`)
)
