package cfntest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Story is how one operation on a stack goes. The zero Story goes well, with
// ten seconds for each resource.
type Story struct {
	Takes        map[string]time.Duration // of a resource, by logical id
	Says         map[string]string        // what the resource tells while it is in progress
	Fails        map[string]string        // why the resource fails
	Stuck        string                   // the resource that never comes to an end
	RollbackFail map[string]string        // why the resource cannot be taken back
	DeleteFails  map[string]string        // why the resource cannot be deleted
}

// Finding is what early validation says about a resource of a change set.
type Finding struct {
	Resource string
	Type     string
	Path     string
	Reason   string
	Warning  bool // the change set can be executed none the less
}

// Drift is how a resource differs from its template.
type Drift struct {
	Resource string
	Type     string
	Deleted  bool
	Path     string
	Expected string
	Actual   string
}

// Script says how the next operation on a stack goes that has not been told yet.
func (s *Server) Script(stackName string, story Story) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stories[stackName] = append(s.stories[stackName], story)
}

// Invalidate gives the change sets of a stack findings of early validation.
func (s *Server) Invalidate(stackName string, findings ...Finding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.invalid[stackName] = findings
}

// Drifted gives the resources of a stack that were changed by hand.
func (s *Server) Drifted(stackName string, drifts ...Drift) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drifts[stackName] = drifts
}

func (s *Server) nextStory(name string) Story {
	queue := s.stories[name]
	if len(queue) == 0 {
		return Story{}
	}
	s.stories[name] = queue[1:]
	return queue[0]
}

func (story Story) takes(id string) time.Duration {
	if d, told := story.Takes[id]; told {
		return d
	}
	return 10 * time.Second
}

// event is something that happened to a stack, or will.
type event struct {
	id       string
	at       time.Time
	logical  string
	physical string
	kind     string // type of resource
	status   string
	reason   string
}

// teller writes down events that lie ahead, in the order of their time.
type teller struct {
	of     *stack
	events []event
}

func (t *teller) at(when time.Time, logical, physical, kind, status, reason string) {
	t.events = append(t.events, event{at: when, logical: logical, physical: physical, kind: kind, status: status, reason: reason})
}

func (t *teller) stack(when time.Time, status, reason string) {
	t.at(when, t.of.name, t.of.id, stackType, status, reason)
}

const stackType = "AWS::CloudFormation::Stack"

// verbs are how the statuses of an action begin.
var verbs = map[string]string{"Add": "CREATE", "Modify": "UPDATE", "Remove": "DELETE"}

// change lays out the events of a change set that is executed. It returns what
// the stack will have been made to when all is over, nil when nothing remains.
func (s *Server) change(of *stack, set *changeSet, story Story) (ahead []event, outcome func()) {
	t := &teller{of: of}
	begin, verb := s.now, "UPDATE"
	if set.creates {
		verb = "CREATE"
	}
	t.stack(begin, verb+"_IN_PROGRESS", "User Initiated")

	fails := maps.Clone(story.Fails)
	if fails == nil {
		fails = map[string]string{}
	}
	for _, c := range set.changes {
		if what := of.policy.denies(c); what != "" {
			fails[c.id] = fmt.Sprintf("Action denied by stack policy: Statement [#1] does not allow [%s] for resource [LogicalResourceId/%s]", what, c.id)
		}
	}
	// The first failure ends the others, so it has to be found first.
	var broken time.Time
	work := slices.DeleteFunc(slices.Clone(set.changes), func(c change) bool { return c.action == "Remove" && fails[c.id] == "" })
	for _, c := range work {
		if end := begin.Add(time.Second + story.takes(c.id)); fails[c.id] != "" && (broken.IsZero() || end.Before(broken)) {
			broken = end
		}
	}
	var failed, made []change
	end := begin.Add(time.Second)
	for _, c := range work {
		from, to := begin.Add(time.Second), begin.Add(time.Second+story.takes(c.id))
		does := verbs[c.action]
		physical := of.physical(c.id)
		if physical == "" || c.replaces {
			physical = s.newPhysical(of.name, c.id, c.kind)
		}
		reason := ""
		if c.replaces {
			reason = "Requested update requires the creation of a new physical resource; hence creating one."
		}
		t.at(from, c.id, "", c.kind, does+"_IN_PROGRESS", reason)
		if does == "CREATE" {
			t.at(from.Add(time.Second), c.id, physical, c.kind, does+"_IN_PROGRESS", "Resource creation Initiated")
		}
		if told := story.Says[c.id]; told != "" {
			t.at(from.Add(2*time.Second), c.id, physical, c.kind, does+"_IN_PROGRESS", told)
		}
		switch {
		case c.id == story.Stuck && broken.IsZero():
			end = time.Time{}
		case fails[c.id] != "" && !to.After(broken):
			t.at(to, c.id, physical, c.kind, does+"_FAILED", fails[c.id])
			failed = append(failed, c)
		case !broken.IsZero() && to.After(broken):
			t.at(broken, c.id, physical, c.kind, does+"_FAILED", map[string]string{"CREATE": "Resource creation cancelled", "UPDATE": "Resource update cancelled"}[does])
			made = append(made, c)
		default:
			c.physical = physical
			t.at(to, c.id, physical, c.kind, does+"_COMPLETE", "")
			made = append(made, c)
			if !end.IsZero() && to.After(end) {
				end = to
			}
		}
	}
	switch {
	case end.IsZero():
		return t.events, func() {}
	case broken.IsZero():
		return t.events, s.succeed(t, set, made, verb, end)
	}
	names := make([]string, 0, len(failed))
	for _, c := range failed {
		names = append(names, c.id)
	}
	why := fmt.Sprintf("The following resource(s) failed to %s: [%s]. ", map[string]string{"CREATE": "create", "UPDATE": "update"}[verb], strings.Join(names, ", "))
	return t.events, s.rollBack(t, set, append(made, failed...), story, broken.Add(time.Second), why)
}

// succeed ends a change well.
func (s *Server) succeed(t *teller, set *changeSet, made []change, verb string, end time.Time) func() {
	if verb == "CREATE" {
		t.stack(end.Add(time.Second), "CREATE_COMPLETE", "")
	} else {
		end = end.Add(time.Second)
		t.stack(end, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "")
		for _, c := range set.changes {
			old := t.of.physical(c.id)
			if c.action == "Remove" || c.replaces {
				t.at(end, c.id, old, c.kind, "DELETE_IN_PROGRESS", "")
				end = end.Add(5 * time.Second)
				t.at(end, c.id, old, c.kind, "DELETE_COMPLETE", "")
			}
		}
		t.stack(end, "UPDATE_COMPLETE", "")
	}
	of := t.of
	return func() {
		of.template, of.tags = set.template, set.tags
		for _, c := range made {
			of.resources[c.id] = resource{c.id, c.physical, c.kind}
		}
		for _, c := range set.changes {
			if c.action == "Remove" {
				delete(of.resources, c.id)
			}
		}
		of.sets = nil
	}
}

// rollBack takes everything back that was begun.
func (s *Server) rollBack(t *teller, set *changeSet, begun []change, story Story, when time.Time, why string) func() {
	slices.SortFunc(begun, func(a, b change) int { return strings.Compare(b.id, a.id) })
	prefix, done := "UPDATE_ROLLBACK", "UPDATE_COMPLETE"
	switch {
	case set.creates && set.deletesOnFailure:
		prefix, why = "DELETE", why+"Delete requested by user."
	case set.creates:
		prefix, why = "ROLLBACK", why+"Rollback requested by user."
	}
	if set.creates {
		done = "DELETE_COMPLETE"
	}
	t.stack(when, prefix+"_IN_PROGRESS", why)
	var stays []string
	for _, c := range begun {
		did := done
		if c.action == "Add" {
			did = "DELETE_COMPLETE"
		}
		t.at(when.Add(time.Second), c.id, c.physical, c.kind, strings.Replace(did, "COMPLETE", "IN_PROGRESS", 1), "")
		when = when.Add(5 * time.Second)
		if reason := story.RollbackFail[c.id]; reason != "" {
			t.at(when, c.id, c.physical, c.kind, strings.Replace(did, "COMPLETE", "FAILED", 1), reason)
			stays = append(stays, c.id)
			continue
		}
		t.at(when, c.id, c.physical, c.kind, did, "")
	}
	when = when.Add(time.Second)
	if len(stays) > 0 {
		t.stack(when, prefix+"_FAILED", fmt.Sprintf("The following resource(s) failed to roll back: [%s]. ", strings.Join(stays, ", ")))
	} else {
		if prefix == "UPDATE_ROLLBACK" {
			t.stack(when, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "")
		}
		t.stack(when, prefix+"_COMPLETE", "")
	}
	return func() { set.execution = "EXECUTE_FAILED" }
}

// remove lays out the events of a stack that is deleted.
func (s *Server) remove(of *stack, retain []string, story Story) (ahead []event, outcome func()) {
	t := &teller{of: of}
	when := s.now
	t.stack(when, "DELETE_IN_PROGRESS", "User Initiated")
	var gone, stay []string
	for _, id := range slices.Sorted(maps.Keys(of.resources)) {
		r := of.resources[id]
		policy, _ := of.template.Resources[id]["DeletionPolicy"].(string)
		when = when.Add(time.Second)
		switch {
		case strings.HasPrefix(policy, "Retain") || slices.Contains(retain, id): // also RetainExceptOnCreate
			t.at(when, id, r.physical, r.kind, "DELETE_SKIPPED", "")
			gone = append(gone, id)
		case story.DeleteFails[id] != "":
			t.at(when, id, r.physical, r.kind, "DELETE_IN_PROGRESS", "")
			t.at(when.Add(story.takes(id)), id, r.physical, r.kind, "DELETE_FAILED", story.DeleteFails[id])
			stay = append(stay, id)
		default:
			t.at(when, id, r.physical, r.kind, "DELETE_IN_PROGRESS", "")
			t.at(when.Add(story.takes(id)), id, r.physical, r.kind, "DELETE_COMPLETE", "")
			gone = append(gone, id)
		}
		when = when.Add(story.takes(id))
	}
	if len(stay) > 0 {
		t.stack(when.Add(time.Second), "DELETE_FAILED", fmt.Sprintf("The following resource(s) failed to delete: [%s]. ", strings.Join(stay, ", ")))
	} else {
		t.stack(when.Add(time.Second), "DELETE_COMPLETE", "")
	}
	return t.events, func() {
		for _, id := range gone {
			delete(of.resources, id)
		}
	}
}
