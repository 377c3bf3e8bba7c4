package control

import (
	"fmt"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws033 = Control{
	ID:       "AWS-33",
	Title:    "no instance lacks a security update, and that was looked at within a week",
	Why:      "Holes in PHP, the web server and the kernel are tried on every address within days of the update that closes them.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudInstances, facts.CloudPatches},
	Eval:     inspected(patches),
	Fix:      remedied("install the updates; rocca up has Debian install those of security every day. Patch Manager reports what is missing (AWS-RunPatchBaseline, Scan)", patches),
	Maps:     []model.Ref{fsbp("SSM.2"), row("8")},
	Since:    "0.6",
}

// patchAge is how old a report about updates may be.
const patchAge = 7 * 24 * time.Hour

func patches(v *View) inspection {
	found := inspection{}
	running := runningOf(v)
	if len(running) == 0 {
		found.absent = "no instance is running"
	}
	agents := agentsOf(v)
	for _, i := range running {
		subject, p := labelled(i.ID, i.Tags), agents[i.ID].Patch
		_, known := agents[i.ID]
		ours := v.Cloud.Deployment != "" && i.Tags.Deployment() == v.Cloud.Deployment
		if told := v.Cloud.Updates; ours && p.At.IsZero() && !told.At.IsZero() {
			p = facts.Patches{At: told.At, MissingSecurity: told.Missing, By: "the worst of the servers' own audits"}
		}
		scan := Change{}
		if known {
			scan = Change{Sentence: "look at the updates of " + i.ID, Command: v.commandLine("ssm", "send-command", "--document-name", "AWS-RunPatchBaseline", "--parameters", "Operation=Scan", "--instance-ids", i.ID)}
		}
		e := model.Evidence{Subject: subject, Want: "no security update missing, looked at within 7 days"}
		switch {
		case p.At.IsZero() && ours:
			found.unread = append(found.unread, i.ID+" has not told of its updates today: its audit tells each day (hardening.audit_timer), and rocca audit on the server at any time, HST-02")
			continue
		case p.At.IsZero():
			e.Have = "nobody has looked at its updates"
		case v.Observed.Sub(p.At) > patchAge:
			e.Have = "last looked at on " + date(p.At)
		case p.MissingSecurity+p.Failed > 0:
			e.Have = fmt.Sprintf("%d security updates missing, %d failed (%s)", p.MissingSecurity, p.Failed, p.By)
			scan = Change{}
			if known {
				scan = Change{Sentence: "install the updates of " + i.ID + " without a restart", Command: v.commandLine("ssm", "send-command", "--document-name", "AWS-RunPatchBaseline", "--parameters", "Operation=Install,RebootOption=NoReboot", "--instance-ids", i.ID)}
			}
		default:
			found.seen = append(found.seen, model.Evidence{Subject: subject, Have: fmt.Sprintf("no security update missing on %s (%s)", date(p.At), p.By)})
			continue
		}
		found.faults = append(found.faults, fault{e, scan})
	}
	return found
}
