package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"rocca/internal/aws/client"
	"rocca/internal/aws/stack"
)

// Deployed reads the templates that the stacks of a set have now; a stack that
// is not there is left out. What they cost is compared with what is wanted.
func (d *Deployment) Deployed(ctx context.Context, set stack.Set) (stack.Set, error) {
	deployed := stack.Set{Settings: set.Settings}
	there, err := d.look(ctx, set)
	if err != nil {
		return stack.Set{}, err
	}
	for _, one := range set.Stacks {
		if now := there[one.Role]; now.absent() || now.unmade() {
			continue
		}
		body, err := d.body(ctx, one.Name)
		if err != nil {
			return stack.Set{}, err
		}
		if one.Template, err = readTemplate(body); err != nil {
			return stack.Set{}, fmt.Errorf("read the template of the stack %s: %w", one.Name, err)
		}
		deployed.Stacks = append(deployed.Stacks, one)
	}
	return deployed, nil
}

// body reads the template that a stack has; empty when it has none.
func (d *Deployment) body(ctx context.Context, stackName string) (string, error) {
	answer, err := d.cloud.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: &stackName, TemplateStage: types.TemplateStageOriginal})
	if missing(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the template of the stack %s: %w", stackName, client.Explain(err))
	}
	return aws.ToString(answer.TemplateBody), nil
}

// readTemplate reads a template that rocca wrote; nothing gives an empty one.
func readTemplate(body string) (stack.Template, error) {
	var t stack.Template
	if body == "" {
		return t, nil
	}
	err := json.Unmarshal([]byte(body), &t)
	return t, err
}

// plainValue is a value as JSON has it.
func plainValue(value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		return value
	}
	var plain any
	if json.Unmarshal(text, &plain) != nil {
		return value
	}
	return plain
}

// refersToUnmade tells whether a template takes values from parameters that
// the stacks before it have yet to make.
func refersToUnmade(body []byte, deployment string) bool {
	ours := strings.TrimSuffix(stack.Parameter(deployment, "", ""), "/")
	return strings.Contains(string(body), "{{resolve:ssm:"+ours)
}

// words names each resource for people: what it is, with its logical id where
// that is not enough to tell two apart.
func words(t stack.Template) map[string]string {
	times := map[string]int{}
	for _, r := range t.Resources {
		times[r.Is]++
	}
	named := map[string]string{}
	for id, r := range t.Resources {
		switch {
		case r.Is == "":
			named[id] = wordsOfType(r.Type) + " " + id
		case times[r.Is] > 1:
			named[id] = r.Is + " (" + id + ")"
		default:
			named[id] = r.Is
		}
	}
	return named
}

// usually is how long CloudFormation takes for a resource, by experience with
// it; others take usuallyElse.
var usually = map[string]time.Duration{
	"AWS::RDS::DBInstance":                      12 * time.Minute,
	"AWS::RDS::DBParameterGroup":                time.Minute,
	"AWS::ElastiCache::ReplicationGroup":        10 * time.Minute,
	"AWS::ElastiCache::ServerlessCache":         4 * time.Minute,
	"AWS::EC2::NatGateway":                      2 * time.Minute,
	"AWS::EC2::VPCEndpoint":                     90 * time.Second,
	"AWS::EC2::Instance":                        8 * time.Minute, // it says itself when Matomo works
	"AWS::AutoScaling::AutoScalingGroup":        8 * time.Minute, // the same
	"AWS::ElasticLoadBalancingV2::LoadBalancer": 3 * time.Minute,
	"AWS::CertificateManager::Certificate":      4 * time.Minute, // proven by DNS
	"AWS::KMS::Key":                             2 * time.Minute,
	"AWS::IAM::Role":                            20 * time.Second,
	"AWS::IAM::InstanceProfile":                 2 * time.Minute,
	"AWS::SNS::Topic":                           15 * time.Second,
	"AWS::WAFv2::WebACL":                        30 * time.Second,
	"AWS::WAFv2::WebACLAssociation":             time.Minute,
	"AWS::Route53::RecordSet":                   time.Minute,
	"AWS::Route53Resolver::FirewallRuleGroup":   time.Minute,
}

const usuallyElse = 10 * time.Second

func usual(r stack.Resource) time.Duration {
	d, known := usually[r.Type]
	if !known {
		return usuallyElse
	}
	if r.Type == "AWS::RDS::DBInstance" && isTrue(r.Properties["MultiAZ"]) {
		d += 5 * time.Minute
	}
	return d
}

// estimate is how long it usually takes to make these resources: the longest
// chain of those that need each other.
func estimate(t stack.Template, ids []string) time.Duration {
	var longest func(id string, above []string) time.Duration
	known := map[string]time.Duration{}
	longest = func(id string, above []string) time.Duration {
		if d, done := known[id]; done || slices.Contains(above, id) {
			return d
		}
		r := t.Resources[id]
		var before time.Duration
		for _, needed := range needs(r) {
			before = max(before, longest(needed, append(above, id)))
		}
		if slices.Contains(ids, id) {
			before += usual(r)
		}
		known[id] = before
		return before
	}
	var all time.Duration
	for _, id := range ids {
		all = max(all, longest(id, nil))
	}
	return all
}

// needs lists the logical ids that a resource refers to.
func needs(r stack.Resource) []string {
	found := map[string]bool{}
	for _, id := range r.DependsOn {
		found[id] = true
	}
	var walk func(value any)
	walk = func(value any) {
		switch v := value.(type) {
		case []any:
			for _, one := range v {
				walk(one)
			}
		case map[string]any:
			if id, is := v["Ref"].(string); is {
				found[id] = true
			}
			if path, is := v["Fn::GetAtt"].([]any); is && len(path) > 0 {
				found[fmt.Sprint(path[0])] = true
			}
			for _, one := range v {
				walk(one)
			}
		}
	}
	for _, value := range r.Properties {
		walk(plainValue(value))
	}
	return slices.Sorted(maps.Keys(found))
}
