package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// balancerAttribute is one setting of a load balancer.
type balancerAttribute struct {
	name  string   // as AWS names it
	usual string   // where AWS does not tell it
	want  []string // what is right, the one to set first
}

var balancerAttributes = []balancerAttribute{
	{"routing.http.drop_invalid_header_fields.enabled", "false", []string{"true"}},
	{"routing.http.desync_mitigation_mode", "defensive", []string{"strictest", "defensive"}},
	{"deletion_protection.enabled", "false", []string{"true"}},
	{"access_logs.s3.enabled", "false", []string{"true"}},
	{"waf.fail_open.enabled", "false", []string{"false"}}, // else nothing is filtered while WAF does not answer
}

func (a balancerAttribute) of(b facts.Balancer) string {
	if value, told := b.Attributes[a.name]; told {
		return value
	}
	return a.usual
}

func (a balancerAttribute) met(b facts.Balancer) bool { return slices.Contains(a.want, a.of(b)) }

const bucketOfAccessLogs = "access_logs.s3.bucket"

var hardened = each[facts.Balancer]{
	all: balancers, none: noBalancer,
	judge: func(_ *View, b facts.Balancer) (against []model.Evidence, unread []string) {
		if b.Attributes == nil {
			return nil, []string{"could not see the attributes of " + balancerSubject(b)}
		}
		for _, a := range balancerAttributes {
			if !a.met(b) {
				against = append(against, model.Evidence{Subject: balancerSubject(b), Have: a.name + " = " + a.of(b), Want: strings.Join(a.want, " or ")})
			}
		}
		return against, nil
	},
	shows: func(_ *View, b facts.Balancer) []model.Evidence {
		return []model.Evidence{{Subject: balancerSubject(b), Have: "drops invalid headers, " + balancerAttributes[1].of(b) + " against desync, protected from deletion, logs to " + b.Attributes[bucketOfAccessLogs]}}
	},
	puts: func(v *View, b facts.Balancer) []Change {
		words := []string{"elbv2", "modify-load-balancer-attributes", "--load-balancer-arn", b.ARN, "--attributes"}
		settings := 0
		for _, a := range balancerAttributes {
			if a.met(b) {
				continue
			}
			if a.name == "access_logs.s3.enabled" && b.Attributes[bucketOfAccessLogs] == "" {
				bucket := bucketForLogs(v)
				if bucket == "" {
					continue // which bucket takes them is for the owner to decide
				}
				words = append(words, "Key="+bucketOfAccessLogs+",Value="+bucket, "Key=access_logs.s3.prefix,Value=load-balancer")
			}
			words = append(words, "Key="+a.name+",Value="+a.want[0])
			settings++
		}
		if settings == 0 {
			return nil
		}
		return []Change{{Sentence: "harden " + balancerSubject(b), Command: v.commandLine(words...)}}
	},
}

// bucketForLogs is the bucket of a deployment that takes access logs.
func bucketForLogs(v *View) string {
	for _, b := range v.Cloud.Buckets {
		if b.Tags.Role() == "logs" && v.concerns(b.Tags, "") {
			return b.Name
		}
	}
	return ""
}

var aws037 = Control{
	ID:       "AWS-37",
	Title:    "the load balancer drops malformed requests, cannot be deleted by accident, and logs who asked",
	Why:      "Headers that balancer and server read differently smuggle a request past every rule, into the connection of another visitor. Without logs nobody can tell afterwards who came.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudBalancers},
	Eval:     hardened.verdict,
	Fix:      guidedBy("Set the attributes of the load balancer: drop_invalid_header_fields, desync_mitigation_mode strictest, deletion_protection, access logs into a private bucket, and waf.fail_open off.", hardened.changes),
	Maps:     []model.Ref{fsbp("ELB.4"), fsbp("ELB.5"), fsbp("ELB.6"), fsbp("ELB.12"), cisAWS("4.10")},
	Since:    "0.6",
}
