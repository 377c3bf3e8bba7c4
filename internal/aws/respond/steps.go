package respond

import (
	"context"
	"errors"
	"slices"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/incident"
)

// The steps, by what journals name them.
const (
	stepOpen        = "open"
	stepRecord      = "record"
	stepProtect     = "protect"
	stepService     = "out-of-service"
	stepTriage      = "triage"
	stepSnapshot    = "snapshot"
	stepNetwork     = "cut-network"
	stepFilter      = "filter-subnet"
	stepBlock       = "block-attackers"
	stepCredentials = "cut-credentials"
	stepRotate      = "rotate"
	stepPreserve    = "preserve"
	stepVerify      = "verify"
	stepReport      = "report"
)

// Steps are those of a response, in their order. Without a response they tell
// their texts only.
func Steps(r *Response) []incident.Step {
	all := r == nil
	if all {
		r = New(client.Config{}, client.Identity{}, Prepared{}, Tools{}, Options{})
	}
	steps := []incident.Step{
		{
			ID: stepOpen, Phase: incident.Isolate, Title: "Open the case in the account",
			Why:   "Everything below is evidence: it needs a place where nobody can change it, and two responders must not undo each other's work.",
			Rocca: []string{"s3:PutObject cases/open/INSTANCE.json, only if nobody else has"},
			Plan:  r.planOpen, Do: r.step(r.open),
		},
		{
			ID: stepRecord, Phase: incident.Assess, Title: "Record the instance as it is",
			Why: "What it looked like before we touched it is gone afterwards. All of this only reads.",
			Rocca: []string{"instance, disks, network interfaces, security groups, role and its policies, user data, console", "load balancer, auto-scaling group, firewall",
				"CloudTrail of 90 days, flow logs, findings of GuardDuty"},
			Person: []string{"Read what was recorded: who called what with the role, and where did the instance connect to?"},
			Limit:  20 * time.Minute, Plan: r.planRecord, Do: r.step(r.record),
		},
		{
			ID: stepProtect, Phase: incident.Isolate, Title: "Protect the instance from being deleted",
			Why:   "An auto-scaling group or an intruder must not delete the evidence while we take it.",
			Rocca: []string{"protection from termination on, a shutdown stops instead of terminating, disks outlive the instance", "the auto-scaling group may not choose it, tag rocca:case"},
			Undo:  releaseCommand, Plan: r.planned(r.protect), Do: r.step(r.changes(r.protect)),
		},
		{
			ID: stepService, Phase: incident.Isolate, Title: "Take the instance out of service",
			Why:   "Visitors keep a service, from a clean instance that takes its place, and nobody else gets to this one.",
			Rocca: []string{"the auto-scaling group puts it aside (standby) and starts another", "load balancers send it nobody any more"},
			Undo:  releaseCommand, Plan: r.planned(r.service), Do: r.step(r.changes(r.service)),
		},
		{
			ID: stepTriage, Phase: incident.Assess, Title: "Take from the running system what a stop would lose",
			Why:    "Processes, sockets and deleted programs are only in memory. It needs the network and the role, so it comes before both are cut.",
			Rocca:  []string{"rocca host triage on the instance, which puts what it finds into the bucket of evidence"},
			Person: []string{"Memory as a whole (RAM) is not taken: where you have AVML or LiME staged, take it now, before anybody stops the instance."},
			Limit:  25 * time.Minute, Plan: r.planTriage, Do: r.step(r.triage),
		},
		{
			ID: stepSnapshot, Phase: incident.Assess, Title: "Copy all disks, and the database, as of one moment",
			Why:   "The moment is set when the call returns; the copying itself needs no waiting.",
			Rocca: []string{"snapshots of all volumes at one point, tagged with the case", "a snapshot of the database"},
			Limit: 10 * time.Minute, Plan: r.planned(r.snapshot), Do: r.step(r.takeSnapshots),
		},
		{
			ID: stepNetwork, Phase: incident.Isolate, Title: "Cut the instance off the network",
			Why: "A change of security groups does not end connections that are tracked. In the group that lets all through nothing is tracked, and the next one then cuts everything. " +
				"Every interface, also IPv6; the public address goes.",
			Rocca:  []string{"each network interface: transit group, then isolation group; no IPv6 addresses, no elastic address"},
			Person: []string{"A server without a load balancer is off now: `rocca aws deploy` can start another one."},
			Undo:   releaseCommand, Plan: r.planNetwork, Do: r.step(r.cutNetwork),
		},
		{
			ID: stepFilter, Phase: incident.Isolate, Title: "Refuse all packets of its subnet (--nacl)",
			Why:   "A network ACL knows no connections, and cuts what a security group lets live. It hits the whole subnet: only where the instance is alone.",
			Rocca: []string{"a network ACL without a rule takes the place of the subnet's"},
			Undo:  releaseCommand, Again: true, Plan: plain("ec2:CreateNetworkAcl, ec2:ReplaceNetworkAclAssociation, when the instance is alone in its subnet"), Do: r.step(r.filterSubnets),
		},
		{
			ID: stepBlock, Phase: incident.Isolate, Title: "Have the firewall block the attackers (--attacker)",
			Why:   "The clean instance has the same hole as long as nobody has closed it.",
			Rocca: []string{"the addresses go into a set that the firewall blocks"},
			Undo:  stopBlocking, Again: true, Plan: r.planFirewall, Do: r.step(r.block),
		},
		{
			ID: stepCredentials, Phase: incident.Contain, Title: "Cut the credentials of the role",
			Why:   "Copied credentials work from anywhere until they expire. First the role is taken off the instance, or it would fetch fresh ones.",
			Rocca: []string{"the role is taken off the instance", "what this instance was given, and every older session of the role but those of instances in service, may do nothing any more"},
			Undo:  releaseCommand, Plan: r.planned(r.credentials), Do: r.step(r.cutCredentials),
		},
		{
			ID: stepRotate, Phase: incident.Contain, Title: "Change every secret that the instance knew",
			Why:    "Only now: before the instance was cut off, the new ones would have leaked as well.",
			Rocca:  []string{"rocca aws rotate db, master, salt, tokens"},
			Person: []string{"Change what rocca does not know: mail relay, passwords of Matomo's administrators, keys of people that were on the instance.", "The salt logs everybody out; tell your users."},
			After:  []string{stepNetwork, stepCredentials}, Limit: time.Hour, Plan: r.planRotate, Do: r.step(r.rotate),
		},
		{
			ID: stepPreserve, Phase: incident.Document, Title: "Keep the copies from being changed or deleted",
			Why:   "Snapshots are evidence when nobody could have changed or deleted them, nor an administrator whose account was taken over.",
			Rocca: []string{"wait for the snapshots", "--evidence-key: copies under another key", "lock them (compliance mode; 72 hours to change one's mind)", "--evidence-account: another account may use them"},
			Limit: 2 * time.Hour, Plan: r.planPreserve, Do: r.step(r.preserve),
		},
		{
			ID: stepVerify, Phase: incident.Recover, Title: "Prove that it is cut off, and that a clean one serves",
			Why:   "Proof, not hope: some connections are tracked whatever the group says, and only the flow logs tell.",
			Rocca: []string{"groups of every interface", "five minutes of flow logs with nothing but REJECT", "the role is off, and denied", "a new instance is healthy"},
			Limit: 20 * time.Minute, Again: true, Plan: r.planVerify, Do: r.step(r.verify),
			Person: []string{"Find out how they came in, and close it, before you trust the new instance: `rocca aws audit`, and `rocca audit` on it."},
		},
		{
			ID: stepReport, Phase: incident.Document, Title: "Write the report",
			Why:    "The 72 hours of GDPR Art. 33 run since it became known, and whoever decides needs one page.",
			Rocca:  []string{"report.md and report.html, in the case and in the bucket of evidence"},
			Person: []string{"Decide whether the authority and the people concerned must be told.", "Analyse copies of the snapshots, on another network; never the instance itself.", "When all is done: " + releaseCommand + ", or terminate the instance by hand once the evidence is safe."},
			Again:  true, Plan: plain("report.md and report.html"), Do: r.step(r.report),
		},
	}
	steps = slices.DeleteFunc(steps, func(s incident.Step) bool {
		return !all && (s.ID == stepFilter && !r.options.FilterSubnet || s.ID == stepBlock && len(r.options.Attackers) == 0)
	})
	if r.options.IsolateFirst {
		at := slices.IndexFunc(steps, func(s incident.Step) bool { return s.ID == stepSnapshot })
		steps[at], steps[at+1] = steps[at+1], steps[at]
	}
	return steps
}

const releaseCommand = "rocca aws respond release --instance ID"

// step makes of a deed what a step does. Credentials that have expired end the
// run: every further call would fail with them, and the same command goes on
// where it stopped.
func (r *Response) step(do func(context.Context, *incident.Case) error) func(context.Context, *incident.Case) error {
	return func(ctx context.Context, c *incident.Case) error {
		err := do(ctx, c)
		if client.Expired(err) {
			r.stop(err)
		}
		return err
	}
}

// plain is the plan of a step that is told in a sentence.
func plain(lines ...string) func(context.Context) ([]string, error) {
	return func(context.Context) ([]string, error) { return lines, nil }
}

// planned is the plan of a step that makes calls.
func (r *Response) planned(of func(context.Context, Before) ([]call, error)) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		b, err := r.look(ctx)
		if err != nil {
			return nil, err
		}
		calls, err := of(ctx, b)
		return lines(calls), err
	}
}

func lines(calls []call) []string {
	var all []string
	for _, c := range calls {
		all = append(all, c.String())
	}
	return all
}

// changes makes the calls of a step. One that fails blocks none after it.
func (r *Response) changes(of func(context.Context, Before) ([]call, error)) func(context.Context, *incident.Case) error {
	return func(ctx context.Context, c *incident.Case) error {
		b, err := r.before(ctx, c)
		if err != nil {
			return err
		}
		calls, unseen := of(ctx, b)
		return errors.Join(makeAll(ctx, calls, c, releaseFor(b)), unseen)
	}
}

func releaseFor(b Before) string { return "rocca aws respond release --instance " + b.Instance }
