// Package doctor looks, before a deployment, at whether an account and a region
// are fit for it. It only reads.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"

	"rocca/internal/aws/check"
	"rocca/internal/aws/client"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
)

// Examine looks at everything that a deployment needs. What it is not allowed
// to see, or could not see, is unknown. A check that this deployment does not
// need is left out.
func Examine(ctx context.Context, cloud client.Config, wanted settings.Settings, now time.Time) []check.Check {
	e := exam{cloud: cloud, servers: ec2.NewFromConfig(cloud), wanted: wanted, now: now}
	who := e.identity(ctx)
	if who[0].Status == check.Fail || who[len(who)-1].Status == check.Fail {
		return who // nothing else would be answered
	}
	all := append(who, e.residency())
	set, err := render(wanted)
	if err != nil {
		return append(all, check.Check{ID: "templates", What: "the deployment can be rendered", Status: check.Fail, Found: err.Error()})
	}
	e.set = set
	return append(all, e.run(ctx, checks)...)
}

// render makes the templates also before an image is pinned.
func render(wanted settings.Settings) (stack.Set, error) {
	image := wanted.Instance.Image
	if image == "" {
		wanted.Instance.Image = "ami-00000000000000000"
	}
	set, err := stack.Render(wanted, stack.Known{})
	set.Settings.Instance.Image = image
	return set, err
}

// exam is one examination.
type exam struct {
	cloud   client.Config
	servers *ec2.Client
	wanted  settings.Settings
	set     stack.Set
	now     time.Time
}

// verdict is how a check ended; without a status it does not apply.
type verdict struct {
	status     check.Status
	found, fix string
}

func ok(format string, values ...any) verdict {
	return verdict{check.OK, fmt.Sprintf(format, values...), ""}
}

func fail(fix, format string, values ...any) verdict {
	return verdict{check.Fail, fmt.Sprintf(format, values...), fix}
}

func warn(fix, format string, values ...any) verdict {
	return verdict{check.Warn, fmt.Sprintf(format, values...), fix}
}

type question struct {
	id, what string
	look     func(*exam, context.Context) (verdict, error)
}

// checks in the order they are told.
var checks = []question{
	{"region.zones", "the availability zones are there", (*exam).zones},
	{"region.services", "the region has every service", (*exam).services},
	{"instance.type", "the instance type is offered in the zones", (*exam).instanceType},
	{"instance.image", "the image is Debian's, recent and of the right architecture", (*exam).image},
	{"program", "instances can run the rocca that they get", (*exam).program},
	{"database.version", "RDS offers the database in the zones", (*exam).database},
	{"certificate", "the certificate is valid for the domain", (*exam).certificate},
	{"dns.zone", "the DNS zone holds the domain", (*exam).zone},
	{"dns.record", "no other DNS record stands in the way", (*exam).record},
	{"network.cidr", "no other network has the same addresses", (*exam).addresses},
	{"names.stacks", "the names of the stacks are free or ours", (*exam).stacks},
	{"trail", "a trail is not paid for twice", (*exam).trail},
	{"quota.vpcs", "there is room for another VPC", (*exam).roomForNetworks},
	{"quota.addresses", "there is room for its public addresses", (*exam).roomForAddresses},
	{"quota.processors", "there is room for its instances", (*exam).roomForInstances},
	{"quota.databases", "there is room for its database", (*exam).roomForDatabases},
	{"quota.balancers", "there is room for its load balancer", (*exam).roomForBalancers},
}

// At most so many checks run at once, each for at most so long.
const (
	atOnce   = 6
	patience = 45 * time.Second
)

func (e *exam) run(ctx context.Context, questions []question) []check.Check {
	results := make([]check.Check, len(questions))
	places := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for i, q := range questions {
		running.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			v, err := q.look(e, ctx)
			if err != nil {
				v = unseen(err)
			}
			results[i] = check.Check{ID: q.id, What: q.what, Status: v.status, Found: v.found, Fix: v.fix}
		})
	}
	running.Wait()
	return slices.DeleteFunc(results, func(c check.Check) bool { return c.Status == "" })
}

// unseen is the verdict when AWS did not answer.
func unseen(err error) verdict {
	if client.Denied(err) {
		var operation *smithy.OperationError
		if errors.As(err, &operation) {
			return verdict{check.Unknown, "not allowed to look: " + operation.Service() + " " + operation.Operation(), "rocca aws policy deploy prints the policy that is needed"}
		}
	}
	text, hint, _ := strings.Cut(client.Explain(err).Error(), "\nhint: ")
	return verdict{check.Unknown, text, hint}
}

// count is how many resources of a type the deployment has.
func (e *exam) count(kind string) int {
	n := 0
	for _, s := range e.set.Stacks {
		for _, r := range s.Template.Resources {
			if r.Type == kind {
				n++
			}
		}
	}
	return n
}

// kinds are the types of resources in the deployment, sorted.
func (e *exam) kinds() []string {
	kinds := map[string]bool{}
	for _, s := range e.set.Stacks {
		for _, r := range s.Template.Resources {
			kinds[r.Type] = true
		}
	}
	return slices.Sorted(maps.Keys(kinds))
}

// balanced tells whether the deployment has a load balancer.
func (e *exam) balanced() bool { return e.count("AWS::ElasticLoadBalancingV2::LoadBalancer") > 0 }
