package cloud

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/aws/client"
	"rocca/internal/facts"
)

// named tells whether a resource may be ours by its name: CloudFormation, and
// our templates, begin names with that of the deployment. It spares asking for
// the tags of thousands of others.
func (o *observer) named(name string) bool { return strings.Contains(name, o.Deployment) }

func (o *observer) seeAlarms(ctx context.Context) (found, error) {
	type alarm struct {
		AlarmName, AlarmARN, MetricName, Namespace, StateValue string
		StateTransitionedTimestamp, StateUpdatedTimestamp      moment
		ActionsEnabled                                         bool
		AlarmActions, OKActions                                []string
		tags                                                   facts.Tags
	}
	var list []alarm
	err := pages(func(mark string) (string, error) {
		var out struct {
			NextToken       string
			MetricAlarms    []alarm
			CompositeAlarms []alarm
		}
		err := client.Ask(ctx, o.cloud, "cloudwatch:DescribeAlarms", marked(client.Fields{"MaxRecords": 100, "AlarmTypes": []string{"MetricAlarm", "CompositeAlarm"}}, "NextToken", mark), &out)
		for _, a := range slices.Concat(out.MetricAlarms, out.CompositeAlarms) {
			if o.named(a.AlarmName) {
				list = append(list, a)
			}
		}
		return out.NextToken, err
	})
	if err != nil {
		return nil, err
	}
	if !o.all() {
		list, err = each(list, func(a *alarm) error {
			var out struct{ Tags tagList }
			err := client.Ask(ctx, o.cloud, "cloudwatch:ListTagsForResource", client.Fields{"ResourceARN": a.AlarmARN}, &out)
			a.tags = out.Tags.tags()
			return err
		})
	}
	var all []facts.Alarm
	for _, a := range list {
		if o.ours(a.tags) {
			all = append(all, facts.Alarm{
				Name: a.AlarmName, Metric: a.MetricName, Namespace: a.Namespace, State: a.StateValue, Since: cmp.Or(a.StateTransitionedTimestamp.Time, a.StateUpdatedTimestamp.Time),
				Enabled: a.ActionsEnabled, Actions: a.AlarmActions, Ends: a.OKActions, Tags: a.tags,
			})
		}
	}
	all = sorted(all, func(a facts.Alarm) string { return a.Name })
	return func(c *facts.Cloud) { c.Alarms = all }, err
}

// seeMetricFilters takes all: those that watch a trail stand in whose log it
// writes.
func (o *observer) seeMetricFilters(ctx context.Context) (found, error) {
	var all []facts.MetricFilter
	err := pages(func(mark string) (string, error) {
		var out struct {
			NextToken     string
			MetricFilters []struct {
				LogGroupName, FilterName, FilterPattern string
				MetricTransformations                   []struct{ MetricName, MetricNamespace string }
			}
		}
		err := client.Ask(ctx, o.cloud, "logs:DescribeMetricFilters", marked(client.Fields{"limit": 50}, "nextToken", mark), &out)
		for _, f := range out.MetricFilters {
			one := facts.MetricFilter{Group: f.LogGroupName, Name: f.FilterName, Pattern: f.FilterPattern}
			for _, t := range f.MetricTransformations {
				one.Metric = t.MetricNamespace + "/" + t.MetricName
			}
			all = append(all, one)
		}
		return out.NextToken, err
	})
	all = sorted(all, func(f facts.MetricFilter) string { return f.Group + "\n" + f.Name })
	return func(c *facts.Cloud) { c.MetricFilters = all }, err
}

// seeLogGroups takes those with our tag, and the one that a trail writes into.
func (o *observer) seeLogGroups(ctx context.Context) (found, error) {
	type group struct {
		LogGroupName, ARN, KmsKeyID string
		RetentionInDays             int
		tags                        facts.Tags
	}
	var list []group
	err := pages(func(mark string) (string, error) {
		var out struct {
			NextToken string
			LogGroups []group
		}
		err := client.Ask(ctx, o.cloud, "logs:DescribeLogGroups", marked(client.Fields{"limit": 50}, "nextToken", mark), &out)
		for _, g := range out.LogGroups {
			if o.named(g.LogGroupName) {
				list = append(list, g)
			}
		}
		return out.NextToken, err
	})
	if err != nil {
		return nil, err
	}
	if !o.all() {
		list, err = each(list, func(g *group) error {
			var out struct{ Tags map[string]string }
			err := client.Ask(ctx, o.cloud, "logs:ListTagsForResource", client.Fields{"resourceArn": strings.TrimSuffix(g.ARN, ":*")}, &out)
			g.tags = out.Tags
			return err
		})
	}
	var all []facts.LogGroup
	for _, g := range list {
		if o.ours(g.tags) {
			all = append(all, facts.LogGroup{Name: g.LogGroupName, Days: g.RetentionInDays, Key: g.KmsKeyID, Tags: g.tags})
		}
	}
	all = sorted(all, func(g facts.LogGroup) string { return g.Name })
	return func(c *facts.Cloud) { c.LogGroups = all }, err
}

func (o *observer) seeTopics(ctx context.Context) (found, error) {
	var all []facts.Topic
	err := pages(func(mark string) (string, error) {
		var out struct {
			Next string   `xml:"NextToken"`
			ARNs []string `xml:"Topics>member>TopicArn"`
		}
		err := client.AskQuery(ctx, o.cloud, "sns:ListTopics", client.Form{"NextToken": mark}, &out)
		for _, arn := range out.ARNs {
			all = append(all, facts.Topic{ARN: arn})
		}
		return out.Next, err
	})
	if err != nil {
		return nil, err
	}
	all, err = eachOfOurs(all, func(t facts.Topic) bool { return !o.named(t.ARN) }, func(t *facts.Topic) error {
		var list struct {
			Tags tagList `xml:"Tags>member"`
		}
		if err := client.AskQuery(ctx, o.cloud, "sns:ListTagsForResource", client.Form{"ResourceArn": t.ARN}, &list); err != nil {
			return err
		}
		if t.Tags = list.Tags.tags(); !o.ours(t.Tags) {
			return nil
		}
		var about struct {
			Attributes []struct {
				Key   string `xml:"key"`
				Value string `xml:"value"`
			} `xml:"Attributes>entry"`
		}
		if err := client.AskQuery(ctx, o.cloud, "sns:GetTopicAttributes", client.Form{"TopicArn": t.ARN}, &about); err != nil {
			return err
		}
		for _, a := range about.Attributes {
			switch a.Key {
			case "Policy":
				t.Policy = a.Value
			case "KmsMasterKeyId":
				t.Key = a.Value
			}
		}
		return pages(func(mark string) (string, error) {
			var out struct {
				Next        string `xml:"NextToken"`
				Subscribers []struct {
					ARN      string `xml:"SubscriptionArn"`
					Protocol string
				} `xml:"Subscriptions>member"`
			}
			err := client.AskQuery(ctx, o.cloud, "sns:ListSubscriptionsByTopic", client.Form{"TopicArn": t.ARN, "NextToken": mark}, &out)
			for _, s := range out.Subscribers {
				t.Subscribers = append(t.Subscribers, facts.Subscription{Protocol: s.Protocol, Confirmed: strings.HasPrefix(s.ARN, "arn:")})
			}
			return out.Next, err
		})
	})
	all = slices.DeleteFunc(all, func(t facts.Topic) bool { return !o.ours(t.Tags) })
	all = sorted(all, func(t facts.Topic) string { return t.ARN })
	return func(c *facts.Cloud) { c.Topics = all }, err
}

func (o *observer) askStacks(ctx context.Context) ([]facts.CloudStack, error) {
	type stack struct {
		Name      string `xml:"StackName"`
		Status    string `xml:"StackStatus"`
		Protected bool   `xml:"EnableTerminationProtection"`
		Drift     string `xml:"DriftInformation>StackDriftStatus"`
		Checked   moment `xml:"DriftInformation>LastCheckTimestamp"`
		Outputs   []struct {
			Name  string `xml:"OutputKey"`
			Value string `xml:"OutputValue"`
		} `xml:"Outputs>member"`
		Parameters []struct {
			Name  string `xml:"ParameterKey"`
			Value string `xml:"ParameterValue"`
		} `xml:"Parameters>member"`
		Tags tagList `xml:"Tags>member"`
	}
	var all []facts.CloudStack
	err := pages(func(mark string) (string, error) {
		var out struct {
			Next   string  `xml:"NextToken"`
			Stacks []stack `xml:"Stacks>member"`
		}
		err := client.AskQuery(ctx, o.cloud, "cloudformation:DescribeStacks", client.Form{"NextToken": mark}, &out)
		for _, s := range out.Stacks {
			tags := s.Tags.tags()
			if s.Status == "DELETE_COMPLETE" || !o.ours(tags) {
				continue
			}
			one := facts.CloudStack{Name: s.Name, Status: s.Status, Protected: s.Protected, Drift: cmp.Or(s.Drift, "NOT_CHECKED"), Checked: s.Checked.Time, Tags: tags}
			for _, p := range s.Outputs {
				if secretive(p.Name, p.Value) {
					one.Secrets = append(one.Secrets, p.Name)
				}
			}
			for _, p := range s.Parameters {
				if secretive(p.Name, p.Value) {
					one.Secrets = append(one.Secrets, p.Name)
				}
			}
			slices.Sort(one.Secrets)
			all = append(all, one)
		}
		return out.Next, err
	})
	return sorted(all, func(s facts.CloudStack) string { return s.Name }), err
}

// What looks like a secret, by the name that somebody gave it; and what such a
// name also ends with when it only tells where the secret is.
var (
	secretName = regexp.MustCompile(`(?i)passw|passphrase|secret|token|private.?key|api.?key|access.?key|credential`)
	whereabout = regexp.MustCompile(`(?i)(?:arn|name|id|path|url|policy|group|length|days|rotation)$`)
)

// secretive tells whether a value looks like a secret. CloudFormation shows one
// that was declared as such (NoEcho) as asterisks.
func secretive(name, value string) bool {
	if slices.ContainsFunc(kinds(value, true), func(kind string) bool { return kind == "private key" || kind == "access key" || kind == "password" }) {
		return true
	}
	return secretName.MatchString(name) && !whereabout.MatchString(name) && len(value) >= 6 && !reference.MatchString(value) && !strings.Contains(value, "arn:")
}

func (o *observer) seeStacks(ctx context.Context) (found, error) {
	list, err := o.stacks.get(ctx)
	if err != nil {
		return nil, err
	}
	list, err = each(slices.Clone(list), func(s *facts.CloudStack) error {
		var out struct{ StackPolicyBody string }
		err := client.AskQuery(ctx, o.cloud, "cloudformation:GetStackPolicy", client.Form{"StackName": s.Name}, &out)
		s.Policy = strings.TrimSpace(out.StackPolicyBody) != ""
		return err
	})
	return func(c *facts.Cloud) { c.Stacks = list }, err
}

// seeDrift only tells whether it was seen: what was found when somebody last
// looked for drift comes with the stacks. To look anew is not to read.
func (o *observer) seeDrift(ctx context.Context) (found, error) {
	_, err := o.stacks.get(ctx)
	return func(*facts.Cloud) {}, err
}
