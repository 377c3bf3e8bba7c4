package cfntest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

type xmlTag struct{ Key, Value string }

// tagsOf reads Tags.member.N.Key and Value.
func tagsOf(form url.Values) map[string]string {
	tags := map[string]string{}
	for n := 1; ; n++ {
		key := form.Get(fmt.Sprintf("Tags.member.%d.Key", n))
		if key == "" {
			return tags
		}
		tags[key] = form.Get(fmt.Sprintf("Tags.member.%d.Value", n))
	}
}

func members(form url.Values, name string) []string {
	var all []string
	for n := 1; ; n++ {
		value := form.Get(fmt.Sprintf("%s.member.%d", name, n))
		if value == "" {
			return all
		}
		all = append(all, value)
	}
}

func (s *Server) mustFind(form url.Values) (*stack, error) {
	if one := s.find(form.Get("StackName")); one != nil {
		return one, nil
	}
	return nil, invalidf("Stack with id %s does not exist", form.Get("StackName"))
}

func (s *Server) describeStacks(form url.Values) (any, error) {
	type output struct{ OutputKey, OutputValue, Description string }
	type described struct {
		StackID                     string `xml:"StackId"`
		StackName                   string
		StackStatus                 string
		StackStatusReason           string `xml:",omitempty"`
		CreationTime                string
		EnableTerminationProtection bool
		Outputs                     []output `xml:"Outputs>member"`
		Tags                        []xmlTag `xml:"Tags>member"`
	}
	one, err := s.mustFind(form)
	if err != nil {
		return nil, err
	}
	status, reason := one.last(s.now)
	d := described{StackID: one.id, StackName: one.name, StackStatus: status, StackStatusReason: reason,
		CreationTime: stamp(one.created), EnableTerminationProtection: one.protected}
	if status != "REVIEW_IN_PROGRESS" && status != "CREATE_IN_PROGRESS" {
		for _, key := range slices.Sorted(maps.Keys(one.template.Outputs)) {
			o := one.template.Outputs[key]
			d.Outputs = append(d.Outputs, output{key, one.output(o.Value), o.Description})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(one.tags)) {
		d.Tags = append(d.Tags, xmlTag{key, one.tags[key]})
	}
	return struct {
		Stacks []described `xml:"Stacks>member"`
	}{[]described{d}}, nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func (s *Server) describeStackEvents(form url.Values) (any, error) {
	type described struct {
		EventID              string `xml:"EventId"`
		StackID              string `xml:"StackId"`
		StackName            string
		LogicalResourceID    string `xml:"LogicalResourceId"`
		PhysicalResourceID   string `xml:"PhysicalResourceId"`
		ResourceType         string
		ResourceStatus       string
		ResourceStatusReason string `xml:",omitempty"`
		Timestamp            string
	}
	one, err := s.mustFind(form)
	if err != nil {
		return nil, err
	}
	past := slices.Clone(one.happened(s.now))
	slices.Reverse(past)
	part, next := page(past, form.Get("NextToken"), 20)
	var all []described
	for _, e := range part {
		all = append(all, described{e.id, one.id, one.name, e.logical, e.physical, e.kind, e.status, e.reason, stamp(e.at)})
	}
	return struct {
		StackEvents []described `xml:"StackEvents>member"`
		NextToken   string      `xml:",omitempty"`
	}{all, next}, nil
}

func (s *Server) describeEvents(form url.Values) (any, error) {
	type described struct {
		EventID                string `xml:"EventId"`
		EventType              string
		LogicalResourceID      string `xml:"LogicalResourceId"`
		ResourceType           string
		ValidationName         string
		ValidationPath         string
		ValidationStatus       string
		ValidationStatusReason string
		ValidationFailureMode  string
		Timestamp              string
	}
	one, _, err := s.findSet(form)
	if err != nil {
		return nil, err
	}
	part, next := page(s.invalid[one.name], form.Get("NextToken"), 2)
	var all []described
	for i, f := range part {
		mode := "FAIL"
		if f.Warning {
			mode = "WARN"
		}
		all = append(all, described{fmt.Sprint("validation-", i), "VALIDATION_ERROR", f.Resource, f.Type, "PROPERTY_VALIDATION", f.Path, "FAILED", f.Reason, mode, stamp(s.now)})
	}
	return struct {
		OperationEvents []described `xml:"OperationEvents>member"`
		NextToken       string      `xml:",omitempty"`
	}{all, next}, nil
}

func (s *Server) listStackResources(form url.Values) (any, error) {
	type described struct {
		LogicalResourceID    string `xml:"LogicalResourceId"`
		PhysicalResourceID   string `xml:"PhysicalResourceId"`
		ResourceType         string
		ResourceStatus       string
		LastUpdatedTimestamp string
	}
	one, err := s.mustFind(form)
	if err != nil {
		return nil, err
	}
	part, next := page(slices.Sorted(maps.Keys(one.resources)), form.Get("NextToken"), 3)
	var all []described
	for _, id := range part {
		r := one.resources[id]
		all = append(all, described{id, r.physical, r.kind, "CREATE_COMPLETE", stamp(one.created)})
	}
	return struct {
		StackResourceSummaries []described `xml:"StackResourceSummaries>member"`
		NextToken              string      `xml:",omitempty"`
	}{all, next}, nil
}

func (s *Server) getTemplate(form url.Values) (any, error) {
	one, err := s.mustFind(form)
	if err != nil {
		return nil, err
	}
	return struct{ TemplateBody string }{one.template.text}, nil
}

func (s *Server) createChangeSet(form url.Values) (any, error) {
	name, set, body := form.Get("StackName"), form.Get("ChangeSetName"), form.Get("TemplateBody")
	creates := form.Get("ChangeSetType") == "CREATE"
	if !stackName.MatchString(name) || !stackName.MatchString(set) {
		return nil, invalidf("1 validation error detected: Value '%s' at 'stackName' or '%s' at 'changeSetName' failed to satisfy constraint", name, set)
	}
	if len(body) > mostTemplateBytes {
		return nil, invalidf("1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to %d", mostTemplateBytes)
	}
	wanted, err := parse(body)
	if err != nil {
		return nil, err
	}
	for _, r := range wanted.Resources {
		if namedIdentity.MatchString(fmt.Sprint(r["Type"])) && !slices.Contains(members(form, "Capabilities"), "CAPABILITY_NAMED_IAM") {
			return nil, Refusal{"InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_NAMED_IAM]"}
		}
	}
	if !creates && form.Get("OnStackFailure") == "DELETE" {
		return nil, invalidf("OnStackFailure DELETE is only valid for ChangeSetType CREATE")
	}
	one := s.find(name)
	switch {
	case one == nil && !creates:
		return nil, invalidf("Stack [%s] does not exist", name)
	case one == nil:
		one = s.newStack(name)
		one.tags = tagsOf(form)
		t := &teller{of: one}
		t.stack(s.now, "REVIEW_IN_PROGRESS", "User Initiated")
		s.run(one, t.events, nil)
	case creates && one.status(s.now) != "REVIEW_IN_PROGRESS":
		return nil, invalidf("Stack [%s] already exists and cannot be created again with the changeSet [%s].", name, set)
	case !creates && (inProgress(one.status(s.now)) || slices.Contains(notUpdatable, one.status(s.now))):
		return nil, invalidf("Stack:%s is in %s state and can not be updated.", one.id, one.status(s.now))
	}
	if slices.ContainsFunc(one.sets, func(c *changeSet) bool { return c.name == set }) {
		return nil, Refusal{"AlreadyExistsException", fmt.Sprintf("ChangeSet %s already exists", set)}
	}
	made := &changeSet{id: s.newARN("changeSet", set), name: set, description: form.Get("Description"), creates: creates,
		deletesOnFailure: form.Get("OnStackFailure") == "DELETE", template: wanted, tags: tagsOf(form),
		changes: one.compare(wanted), ready: s.now.Add(3 * time.Second), status: "CREATE_COMPLETE", execution: "AVAILABLE"}
	sameOutputs := text(wanted.Outputs) == text(one.template.Outputs)
	switch {
	case slices.ContainsFunc(s.invalid[name], func(f Finding) bool { return !f.Warning }):
		made.status, made.execution = "FAILED", "UNAVAILABLE"
		made.reason = "The following hook(s)/validation failed: [AWS::EarlyValidation::PropertyValidation]. To troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure information."
	case !creates && len(made.changes) == 0 && maps.Equal(made.tags, one.tags) && sameOutputs:
		made.status, made.execution = "FAILED", "UNAVAILABLE"
		made.reason = "The submitted information didn't contain changes. Submit different information to create a change set."
	}
	one.sets = append(one.sets, made)
	return struct {
		ID      string `xml:"Id"`
		StackID string `xml:"StackId"`
	}{made.id, one.id}, nil
}

// notUpdatable are the statuses of a stack that takes no change set.
var notUpdatable = []string{"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "UPDATE_ROLLBACK_FAILED", "DELETE_FAILED"}

// findSet finds a change set by its name and stack, or its id.
func (s *Server) findSet(form url.Values) (*stack, *changeSet, error) {
	wanted := form.Get("ChangeSetName")
	for _, one := range s.stacks {
		for _, set := range one.sets {
			if set.id == wanted || set.name == wanted && s.find(form.Get("StackName")) == one {
				return one, set, nil
			}
		}
	}
	return nil, nil, Refusal{"ChangeSetNotFound", fmt.Sprintf("ChangeSet [%s] does not exist", wanted)}
}

func (s *Server) describeChangeSet(form url.Values) (any, error) {
	type target struct{ Attribute, Name, RequiresRecreation, BeforeValue, AfterValue string }
	type oneDetail struct {
		Target       target
		Evaluation   string
		ChangeSource string
	}
	type resourceChange struct {
		Action             string
		LogicalResourceID  string `xml:"LogicalResourceId"`
		PhysicalResourceID string `xml:"PhysicalResourceId,omitempty"`
		ResourceType       string
		Replacement        string      `xml:",omitempty"`
		PolicyAction       string      `xml:",omitempty"`
		Scope              []string    `xml:"Scope>member"`
		Details            []oneDetail `xml:"Details>member"`
	}
	type described struct {
		Type           string
		ResourceChange resourceChange
	}
	one, set, err := s.findSet(form)
	if err != nil {
		return nil, err
	}
	status, execution, reason := set.settled(s.now)
	part, next := page(set.changes, form.Get("NextToken"), 3)
	if status != "CREATE_COMPLETE" {
		part, next = nil, ""
	}
	var all []described
	for _, c := range part {
		r := resourceChange{Action: c.action, LogicalResourceID: c.id, PhysicalResourceID: c.physical, ResourceType: c.kind, PolicyAction: c.policyAction, Scope: c.scope}
		if c.action == "Modify" {
			r.Replacement = map[bool]string{true: "True", false: "False"}[c.replaces]
		}
		for _, d := range c.details {
			r.Details = append(r.Details, oneDetail{target{d.attribute, d.name, d.recreation, d.before, d.after}, "Static", "DirectModification"})
		}
		all = append(all, described{"Resource", r})
	}
	return struct {
		ChangeSetID     string `xml:"ChangeSetId"`
		ChangeSetName   string
		StackID         string `xml:"StackId"`
		StackName       string
		Status          string
		StatusReason    string `xml:",omitempty"`
		ExecutionStatus string
		Changes         []described `xml:"Changes>member"`
		NextToken       string      `xml:",omitempty"`
	}{set.id, set.name, one.id, one.name, status, reason, execution, all, next}, nil
}

func (s *Server) listChangeSets(form url.Values) (any, error) {
	type described struct {
		ChangeSetID     string `xml:"ChangeSetId"`
		ChangeSetName   string
		Description     string
		Status          string
		ExecutionStatus string
	}
	one, err := s.mustFind(form)
	if err != nil {
		return nil, err
	}
	part, next := page(one.sets, form.Get("NextToken"), 2)
	var all []described
	for _, set := range part {
		status, execution, _ := set.settled(s.now)
		all = append(all, described{set.id, set.name, set.description, status, execution})
	}
	return struct {
		Summaries []described `xml:"Summaries>member"`
		NextToken string      `xml:",omitempty"`
	}{all, next}, nil
}

func (s *Server) deleteChangeSet(form url.Values) (any, error) {
	one, set, err := s.findSet(form)
	if err != nil {
		return nil, err
	}
	one.sets = slices.DeleteFunc(one.sets, func(c *changeSet) bool { return c == set })
	return struct{}{}, nil
}

func (s *Server) executeChangeSet(form url.Values) (any, error) {
	one, set, err := s.findSet(form)
	if err != nil {
		return nil, err
	}
	if status := one.status(s.now); inProgress(status) && status != "REVIEW_IN_PROGRESS" {
		return nil, invalidf("Stack:%s is in %s state and can not be updated.", one.id, status)
	}
	if _, execution, _ := set.settled(s.now); execution != "AVAILABLE" {
		return nil, Refusal{"InvalidChangeSetStatus", fmt.Sprintf("ChangeSet [%s] cannot be executed in its current execution status of [%s]", set.id, execution)}
	}
	for _, other := range one.sets {
		if other != set {
			other.execution = "OBSOLETE"
		}
	}
	set.execution = "EXECUTE_IN_PROGRESS"
	if set.creates {
		one.tags = set.tags
	}
	ahead, outcome := s.change(one, set, s.nextStory(one.name))
	s.run(one, ahead, outcome)
	return struct{}{}, nil
}

func (s *Server) deleteStack(form url.Values) (any, error) {
	one := s.find(form.Get("StackName"))
	if one == nil {
		return struct{}{}, nil // as the service does
	}
	status := one.status(s.now)
	switch {
	case one.protected:
		return nil, invalidf("Stack [%s] cannot be deleted while TerminationProtection is enabled", one.name)
	case inProgress(status) && status != "REVIEW_IN_PROGRESS":
		return nil, invalidf("Stack [%s] cannot be deleted while in status %s", one.id, status)
	case len(members(form, "RetainResources")) > 0 && status != "DELETE_FAILED":
		return nil, invalidf("Invalid operation on stack [%s]. When you delete a stack, specify which resources to retain only when the stack is in the DELETE_FAILED state.", one.id)
	}
	one.sets = nil
	ahead, outcome := s.remove(one, members(form, "RetainResources"), s.nextStory(one.name))
	s.run(one, ahead, outcome)
	return struct{}{}, nil
}

func (s *Server) cancelUpdateStack(form url.Values) (any, error) {
	one, err := s.mustFind(form)
	if err != nil {
		return nil, err
	}
	if one.status(s.now) != "UPDATE_IN_PROGRESS" {
		return nil, invalidf("CancelUpdateStack cannot be called from current stack status")
	}
	one.events = slices.Clone(one.happened(s.now))
	t := &teller{of: one}
	set := one.sets[len(one.sets)-1]
	open := map[string]event{}
	for _, e := range one.events {
		open[e.logical] = e
	}
	for _, id := range slices.Sorted(maps.Keys(open)) {
		if e := open[id]; e.kind != stackType && inProgress(e.status) {
			t.at(s.now, e.logical, e.physical, e.kind, strings.Replace(e.status, "IN_PROGRESS", "FAILED", 1), "Resource update cancelled")
		}
	}
	var begun []change
	for _, c := range set.changes {
		if c.action != "Remove" {
			begun = append(begun, c)
		}
	}
	outcome := s.rollBack(t, set, begun, Story{}, s.now.Add(time.Second), "User Initiated. ")
	s.run(one, t.events, outcome)
	return struct{}{}, nil
}

func (s *Server) continueUpdateRollback(form url.Values) (any, error) {
	one, err := s.mustFind(form)
	if err != nil {
		return nil, err
	}
	if one.status(s.now) != "UPDATE_ROLLBACK_FAILED" {
		return nil, invalidf("Stack [%s] is not in UPDATE_ROLLBACK_FAILED state", one.id)
	}
	story := s.nextStory(one.name)
	t := &teller{of: one}
	t.stack(s.now, "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")
	end := s.now.Add(20 * time.Second)
	var stays []string
	for _, id := range slices.Sorted(maps.Keys(story.RollbackFail)) {
		r := one.resources[id]
		t.at(s.now.Add(time.Second), id, r.physical, r.kind, "UPDATE_IN_PROGRESS", "")
		t.at(end, id, r.physical, r.kind, "UPDATE_FAILED", story.RollbackFail[id])
		stays = append(stays, id)
	}
	if len(stays) > 0 {
		t.stack(end, "UPDATE_ROLLBACK_FAILED", "The following resource(s) failed to update: ["+strings.Join(stays, ", ")+"]. ")
	} else {
		t.stack(end, "UPDATE_ROLLBACK_COMPLETE", "")
	}
	s.run(one, t.events, func() {})
	return struct{}{}, nil
}

func (s *Server) updateTerminationProtection(form url.Values) (any, error) {
	one, err := s.mustFind(form)
	if err != nil {
		return nil, err
	}
	one.protected = form.Get("EnableTerminationProtection") == "true"
	return struct {
		StackID string `xml:"StackId"`
	}{one.id}, nil
}

func (s *Server) setStackPolicy(form url.Values) (any, error) {
	one, err := s.mustFind(form)
	if err != nil {
		return nil, err
	}
	one.policyText, one.policy = form.Get("StackPolicyBody"), policy{}
	if err := json.Unmarshal([]byte(one.policyText), &one.policy); err != nil {
		return nil, invalidf("Error validating stack policy: Invalid stack policy (%v)", err)
	}
	return struct{}{}, nil
}

func (s *Server) getStackPolicy(form url.Values) (any, error) {
	one, err := s.mustFind(form)
	if err != nil {
		return nil, err
	}
	return struct {
		StackPolicyBody string `xml:",omitempty"`
	}{one.policyText}, nil
}

func (s *Server) detectStackDrift(form url.Values) (any, error) {
	one, err := s.mustFind(form)
	if err != nil {
		return nil, err
	}
	if status := one.status(s.now); inProgress(status) {
		return nil, invalidf("Drift detection cannot be performed on stack [%s] while it is in %s", one.id, status)
	}
	return struct {
		StackDriftDetectionID string `xml:"StackDriftDetectionId"`
	}{one.name + "/" + stamp(s.now.Add(8*time.Second))}, nil
}

func (s *Server) describeDriftDetection(form url.Values) (any, error) {
	name, until, _ := strings.Cut(form.Get("StackDriftDetectionId"), "/")
	status, drift := "DETECTION_COMPLETE", "IN_SYNC"
	if stamp(s.now) < until {
		status = "DETECTION_IN_PROGRESS"
	}
	if len(s.drifts[name]) > 0 {
		drift = "DRIFTED"
	}
	return struct {
		StackID               string `xml:"StackId"`
		StackDriftDetectionID string `xml:"StackDriftDetectionId"`
		DetectionStatus       string
		StackDriftStatus      string
		Timestamp             string
	}{s.find(name).id, form.Get("StackDriftDetectionId"), status, drift, stamp(s.now)}, nil
}

func (s *Server) describeResourceDrifts(form url.Values) (any, error) {
	type difference struct{ PropertyPath, ExpectedValue, ActualValue, DifferenceType string }
	type described struct {
		LogicalResourceID        string `xml:"LogicalResourceId"`
		PhysicalResourceID       string `xml:"PhysicalResourceId"`
		ResourceType             string
		StackID                  string `xml:"StackId"`
		StackResourceDriftStatus string
		Timestamp                string
		PropertyDifferences      []difference `xml:"PropertyDifferences>member"`
	}
	one, err := s.mustFind(form)
	if err != nil {
		return nil, err
	}
	part, next := page(s.drifts[one.name], form.Get("NextToken"), 1)
	var all []described
	for _, d := range part {
		r := described{d.Resource, one.physical(d.Resource), d.Type, one.id, "MODIFIED", stamp(s.now), nil}
		if d.Deleted {
			r.StackResourceDriftStatus = "DELETED"
		} else {
			r.PropertyDifferences = []difference{{d.Path, d.Expected, d.Actual, "NOT_EQUAL"}}
		}
		all = append(all, r)
	}
	return struct {
		StackResourceDrifts []described `xml:"StackResourceDrifts>member"`
		NextToken           string      `xml:",omitempty"`
	}{all, next}, nil
}
