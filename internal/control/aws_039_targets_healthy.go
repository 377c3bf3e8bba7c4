package control

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// healthPath is answered by the front that rocca sets up, without PHP and
// without the database.
const healthPath = "/rocca-health"

// dynamic are paths that Matomo itself answers: with a redirect when there is
// an update to make, and with an error while the database restarts. A group of
// instances that asks there ends one after another.
var dynamic = []string{"", "/", "/index.php", "/matomo.php", "/piwik.php"}

var healthyTargets = each[facts.TargetGroup]{
	all: targetGroups, none: noTargets,
	judge: func(v *View, g facts.TargetGroup) (against []model.Evidence, _ []string) {
		subject := "target group " + g.Name
		if len(g.Healthy) == 0 {
			against = append(against, model.Evidence{Subject: subject, Have: "no healthy target" + ofThose(g.Unhealthy), Want: "at least one"})
		}
		if g.Protocol != "HTTPS" {
			against = append(against, model.Evidence{Subject: subject, Have: g.Protocol + " to the servers", Want: "HTTPS"})
		}
		ours := g.Tags.Deployment() != ""
		path, _, _ := strings.Cut(g.HealthPath, "?")
		if ours && path != healthPath || !ours && slices.Contains(dynamic, path) {
			against = append(against, model.Evidence{Subject: subject, Have: "asks " + cmp.Or(g.HealthPath, "/") + " whether a server is well", Want: healthPath + ", or another file without PHP"})
		}
		return against, nil
	},
	shows: func(_ *View, g facts.TargetGroup) []model.Evidence {
		return []model.Evidence{{Subject: "target group " + g.Name, Have: fmt.Sprintf("%d healthy%s, %s, %s", len(g.Healthy), ofThose(g.Unhealthy), g.Protocol, g.HealthPath)}}
	},
	puts: func(v *View, g facts.TargetGroup) []Change {
		if g.Tags.Deployment() == "" || g.HealthPath == healthPath {
			return nil // which file is there on foreign servers, and why they do not answer, is not known here
		}
		return []Change{{
			Sentence: "ask the front of the servers, and not Matomo, whether they are well",
			Command:  v.commandLine("elbv2", "modify-target-group", "--target-group-arn", g.ARN, "--health-check-protocol", "HTTPS", "--health-check-path", healthPath),
		}}
	},
}

// targetGroups are those that a load balancer of those in question sends to.
func targetGroups(v *View) []facts.TargetGroup {
	used := map[string]bool{}
	for _, b := range balancers(v) {
		used[b.ARN] = true
		for _, l := range b.Listeners {
			for _, action := range append(actionsOf(l.Rules), l.Default) {
				for _, arn := range action.Targets {
					used[arn] = true
				}
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(v.Cloud.TargetGroups), func(g facts.TargetGroup) bool {
		return !used[g.ARN] && !slices.ContainsFunc(g.Balancers, func(arn string) bool { return used[arn] })
	})
}

// noTargets is the verdict where no target group is in use.
func noTargets(v *View) Verdict {
	all := balancers(v)
	if len(all) == 0 {
		return noBalancer(v)
	}
	return fail(model.Evidence{Subject: balancerSubject(all[0]), Have: "sends to no target group", Want: "the servers of Matomo"})
}

func ofThose(unhealthy []string) string {
	if len(unhealthy) == 0 {
		return ""
	}
	return fmt.Sprintf(", %d unhealthy", len(unhealthy))
}

var aws039 = Control{
	ID:       "AWS-39",
	Title:    "healthy servers stand behind the load balancer, reached by TLS, and asked for a file that needs no Matomo",
	Why:      "A group of instances replaces what does not look well: asked for a page of Matomo, it ends every server during an update. Between balancer and server in the clear, whoever is in the network reads all logins.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudBalancers, facts.CloudTargets},
	Eval:     healthyTargets.verdict,
	Fix:      guidedBy("Target groups of HTTPS with the health check "+healthPath+", which the front of rocca answers without PHP. Why no server answers: rocca aws ssh, then rocca status.", healthyTargets.changes),
	Maps:     []model.Ref{s1("4")},
	Since:    "0.6",
}
