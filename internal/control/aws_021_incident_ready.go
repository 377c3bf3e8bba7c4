package control

import (
	"fmt"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// mostDaysOfRehearsal is how long ago the last practice may be.
const mostDaysOfRehearsal = 180

var aws021 = Control{
	ID:       "AWS-21",
	Title:    "everything for an incident is there and was rehearsed within 180 days",
	Why:      "Nobody makes a security group that cuts off a server, and a bucket that nobody can empty, in the first minutes of an incident. What was never rehearsed fails on a right that is missing, while data leave.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudGroups, facts.CloudBuckets, facts.CloudRehearsals},
	Eval:     inspected(incidentReady),
	Fix:      remedied("rocca aws deploy makes the groups and the bucket; rocca aws respond rehearse practises on an instance that is there for it, and notes how it went", incidentReady),
	Maps:     []model.Ref{s1("45"), s1("46"), row("10")},
	Since:    "0.6",
}

func incidentReady(v *View) inspection {
	found := inspection{unread: blind(v, facts.CloudInstances)}
	prepare := v.byCommand("make what an incident needs", "rocca aws deploy", "")
	groups := map[string][]facts.SecurityGroup{} // by VPC
	for _, g := range v.Cloud.Groups {
		if g.Tags.Role() == "incident" {
			groups[g.VPC] = append(groups[g.VPC], g)
		}
	}
	for _, vpc := range networksWithInstances(v) {
		isolates := slices.IndexFunc(groups[vpc], letsNothing)
		if isolates < 0 {
			found.against("network "+vpc, "no group that cuts an instance off", "one with the tag rocca:role = incident that lets nothing in or out", prepare)
		} else {
			found.shows(groupSubject(groups[vpc][isolates]), "lets nothing in or out")
		}
		transits := slices.IndexFunc(groups[vpc], letsAll)
		if transits < 0 {
			found.against("network "+vpc, "no group that ends the tracking of connections: those that are open outlive the isolation", "one with the tag rocca:role = incident that lets all in and out", prepare)
		} else {
			found.shows(groupSubject(groups[vpc][transits]), "lets all through, for seconds")
		}
	}
	evidence := 0
	for _, b := range v.Cloud.Buckets {
		if b.Tags.Role() != "incident" || !v.concerns(b.Tags, "") {
			continue
		}
		evidence++
		if b.Lock == "" || b.LockDays == 0 {
			found.against("bucket "+b.Name, "evidence in it can be deleted", "Object Lock with a retention", Change{})
		} else {
			found.shows("bucket "+b.Name, fmt.Sprintf("Object Lock, %s, %s", strings.ToLower(b.Lock), daysInWords(b.LockDays)))
		}
	}
	if evidence == 0 {
		found.against("bucket of evidence", "none with the tag rocca:role = incident", "one with Object Lock", prepare)
	}
	rehearsed(v, &found)
	return found
}

// networksWithInstances are the VPCs that instances are in, or, where there is
// no instance, all that the audit is about.
func networksWithInstances(v *View) []string {
	of := map[string]bool{}
	for _, i := range instancesOf(v) {
		if i.VPC != "" {
			of[i.VPC] = true
		}
	}
	if len(of) == 0 {
		for _, g := range v.Cloud.Groups {
			if g.Tags.Deployment() != "" && v.concerns(g.Tags, g.VPC) {
				of[g.VPC] = true
			}
		}
	}
	return sortedKeys(of)
}

// letsNothing tells whether a group cuts off what is in it. One rule to the
// instance itself may be there: AWS opens a group that has none.
func letsNothing(g facts.SecurityGroup) bool {
	return len(g.Ingress) == 0 && !slices.ContainsFunc(g.Egress, func(r facts.GroupRule) bool {
		return !r.CIDR.IsValid() || !r.CIDR.Addr().IsLoopback()
	})
}

// letsAll tells whether a group lets everything through, in both directions:
// only then connections are not tracked.
func letsAll(g facts.SecurityGroup) bool {
	all := func(r facts.GroupRule) bool {
		return r.Protocol == "-1" && r.CIDR == everywhere
	}
	return slices.ContainsFunc(g.Ingress, all) && slices.ContainsFunc(g.Egress, all)
}

// rehearsed notes whether the answer to an incident was practised.
func rehearsed(v *View, found *inspection) {
	practise := Change{Sentence: "practise the answer to an incident", Command: "rocca aws respond rehearse"}
	const subject = "rehearsal"
	want := "one within " + daysInWords(mostDaysOfRehearsal) + " in which every step was done"
	if len(v.Cloud.Rehearsals) == 0 {
		found.against(subject, "none is known", want, practise)
		return
	}
	newest := v.Cloud.Rehearsals[0]
	for _, r := range v.Cloud.Rehearsals {
		if r.At.After(newest.At) {
			newest = r
		}
		if r.Well && v.daysSince(r.At) <= mostDaysOfRehearsal {
			found.shows(subject, "went well "+ago(v.daysSince(r.At))+", case "+r.Case)
			return
		}
	}
	have := "the last was " + ago(v.daysSince(newest.At)) + ", case " + newest.Case
	if !newest.Well {
		have += ", and did not go well"
	}
	found.against(subject, have, want, practise)
}
