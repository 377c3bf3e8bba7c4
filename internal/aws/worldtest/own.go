package worldtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/client"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
)

// Own makes what rocca aws deploy would: every resource of the rendered
// templates, by the calls that CloudFormation makes for it. What no audit looks
// at is left out (unmade). It gives the settings.
func Own(t testing.TB, cloud *awstest.Cloud, profile settings.Profile) settings.Settings {
	t.Helper()
	s := ownSettings(profile)
	own(t, cloud, s, nil)
	return s
}

func ownSettings(profile settings.Profile) settings.Settings {
	s := settings.Defaults(profile, "", awstest.Region)
	s.Name, s.Domain, s.Zone, s.Email, s.Instance.Image = "stats", "stats.example.org", "Z0123456789ABCDEFGHIJ", "ops@example.org", image
	return s
}

// own makes what is rendered of settings, after edit has changed it.
func own(t testing.TB, cloud *awstest.Cloud, s settings.Settings, edit func(stack.Set)) {
	t.Helper()
	known := stack.Known{
		Account: awstest.Account, Physical: map[string]string{},
		Program: stack.Artefact{URL: "https://artefacts.example/rocca", SHA256: strings.Repeat("a1", 32)}, CA: stack.Artefact{URL: "https://artefacts.example/ca.pem", SHA256: strings.Repeat("b2", 32)},
	}
	answers := answerWhatMotoLacks(t, cloud)
	var last stack.Set
	for _, role := range stack.Roles() {
		set, err := stack.Render(s, known)
		if err != nil {
			t.Fatal(err)
		}
		if edit != nil {
			edit(set)
		}
		for _, one := range set.Stacks {
			if one.Role == role {
				last = set
				w := &world{TB: t, cloud: cloud, physical: known.Physical, lacks: answers, config: cloud.Config(t), stack: one, region: awstest.Region, ids: map[string]string{}, attributes: map[string]string{}}
				w.make()
			}
		}
	}
	answers.finished(s, last, known.Physical)
	cloud.ForgetCalls()
}

// image is an AMI that moto knows.
const image = "ami-12c6146b"

// world makes the resources of one stack.
type world struct {
	testing.TB
	cloud      *awstest.Cloud
	config     client.Config
	lacks      *lacks
	stack      stack.Stack
	region     string
	ids        map[string]string // what Ref gives, by logical id
	attributes map[string]string // what GetAtt gives, by "Id.Name"
	physical   map[string]string // outputs of all stacks, by "role.Name"
}

// resource is one, with everything in it resolved.
type resource struct {
	id    string // logical
	props map[string]any
}

// make makes all resources, each after those that it names, and notes outputs.
func (w *world) make() {
	w.Helper()
	text, err := w.stack.Template.JSON()
	if err != nil {
		w.Fatal(err)
	}
	var template struct {
		Resources map[string]struct {
			Type       string
			Properties map[string]any
			DependsOn  []string
		}
		Outputs map[string]struct{ Value any }
	}
	if err := json.Unmarshal(text, &template); err != nil {
		w.Fatal(err)
	}
	var left []string
	for id := range template.Resources {
		left = append(left, id)
	}
	slices.Sort(left)
	for len(left) > 0 {
		before := len(left)
		left = slices.DeleteFunc(left, func(id string) bool {
			r := template.Resources[id]
			props, ready := w.resolve(r.Properties)
			for _, needed := range r.DependsOn {
				_, made := w.ids[needed]
				ready = ready && made
			}
			if !ready {
				return false
			}
			maker, known := makers[r.Type]
			switch {
			case known:
				w.ids[id] = maker(w, resource{id, props.(map[string]any)})
			case slices.Contains(unmade, r.Type):
				w.ids[id] = strings.ToLower(w.stack.Name + "-" + id)
			default:
				w.Fatalf("%s: there is no maker of %s", id, r.Type)
			}
			return true
		})
		if len(left) == before {
			w.Fatalf("nothing more can be made of %q", left)
		}
	}
	for name, output := range template.Outputs {
		value, ready := w.resolve(output.Value)
		if !ready {
			w.Fatalf("the output %s is of nothing that was made", name)
		}
		w.physical[w.stack.Role+"."+name] = fmt.Sprint(value)
	}
}

// unmade are types that the audit does not look at.
var unmade = []string{
	"AWS::AutoScaling::ScalingPolicy", "AWS::CloudFormation::WaitCondition", "AWS::CloudWatch::Dashboard", "AWS::Events::Rule",
	"AWS::Logs::ResourcePolicy", "AWS::RDS::EventSubscription", "AWS::Route53Resolver::FirewallDomainList", "AWS::Route53Resolver::FirewallRuleGroup",
	"AWS::Route53Resolver::FirewallRuleGroupAssociation", "AWS::Route53Resolver::ResolverQueryLoggingConfig", "AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation",
	"AWS::ElastiCache::User", "AWS::ElastiCache::UserGroup", "AWS::ElastiCache::ParameterGroup",
}

var substituted = regexp.MustCompile(`\$\{([A-Za-z0-9:.]+)\}`)

// resolve replaces functions by what they give; it is not ready while something
// that it names was not made.
func (w *world) resolve(value any) (any, bool) {
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 1 {
			for function, argument := range v {
				if resolved, ready, is := w.function(function, argument); is {
					return resolved, ready
				}
			}
		}
		out, all := map[string]any{}, true
		for key, part := range v {
			resolved, ready := w.resolve(part)
			out[key], all = resolved, all && ready
		}
		return out, all
	case []any:
		out, all := make([]any, len(v)), true
		for i, part := range v {
			resolved, ready := w.resolve(part)
			out[i], all = resolved, all && ready
		}
		return out, all
	}
	return value, true
}

func (w *world) function(name string, argument any) (resolved any, ready, is bool) {
	switch name {
	case "Ref":
		id, made := w.named(argument.(string))
		return id, made, true
	case "Fn::GetAtt":
		parts, _ := argument.([]any)
		if len(parts) != 2 {
			w.Fatalf("GetAtt of %v", argument)
		}
		id, made := w.named(fmt.Sprint(parts[0]) + "." + fmt.Sprint(parts[1]))
		return id, made, true
	case "Fn::Sub":
		all := true
		text := substituted.ReplaceAllStringFunc(argument.(string), func(match string) string {
			value, made := w.named(match[2 : len(match)-1])
			all = all && made
			return value
		})
		return text, all, true
	case "Fn::Base64":
		inner, ready := w.resolve(argument)
		return inner, ready, true
	}
	return nil, false, false
}

// named gives what a logical id, an attribute or a pseudo parameter stands for.
func (w *world) named(name string) (string, bool) {
	switch name {
	case "AWS::AccountId":
		return awstest.Account, true
	case "AWS::Region":
		return w.region, true
	case "AWS::Partition":
		return "aws", true
	case "AWS::StackName":
		return w.stack.Name, true
	}
	if id, _, isAttribute := strings.Cut(name, "."); isAttribute {
		if _, made := w.ids[id]; made && w.attributes[name] == "" {
			w.Fatalf("%s is made, and has no attribute %s", id, name)
		}
		value, made := w.attributes[name]
		return value, made
	}
	id, made := w.ids[name]
	return id, made
}

// query calls an action of the Query protocol with fields that are nested as
// CloudFormation nests them.
func (w *world) query(action string, fields map[string]any, out any) {
	w.Helper()
	form := client.Form{}
	member := ".member"
	if strings.HasPrefix(action, "ec2:") {
		member = ""
	}
	for key, value := range fields {
		if named := rdsLists[key]; named != "" && strings.HasPrefix(action, "rds:") {
			flatten(form, key, value, "."+named)
			continue
		}
		flatten(form, key, value, member)
	}
	if err := client.AskQuery(w.Context(), w.config, action, form, out); err != nil {
		w.Fatalf("%s: %v", action, err)
	}
}

// rdsLists are lists whose members RDS calls by names of their own.
var rdsLists = map[string]string{"SubnetIds": "SubnetIdentifier", "VpcSecurityGroupIds": "VpcSecurityGroupId", "Parameters": "Parameter", "Tags": "Tag"}

func flatten(form client.Form, name string, value any, member string) {
	switch v := value.(type) {
	case nil:
	case map[string]any:
		for key, part := range v {
			flatten(form, name+"."+key, part, member)
		}
	case []any:
		for i, part := range v {
			flatten(form, name+member+"."+strconv.Itoa(i+1), part, member)
		}
	case []string:
		for i, part := range v {
			form[name+member+"."+strconv.Itoa(i+1)] = part
		}
	case float64:
		form[name] = strconv.FormatFloat(v, 'f', -1, 64)
	default:
		form[name] = fmt.Sprint(v)
	}
}

// ask calls an action of the JSON protocol.
func (w *world) ask(action string, fields map[string]any, out any) {
	w.Helper()
	if err := client.Ask(w.Context(), w.config, action, fields, out); err != nil {
		w.Fatalf("%s: %v", action, err)
	}
}

// rest calls an action of a REST service.
func (w *world) rest(action, method, path string, fields map[string]any, out any) {
	w.Helper()
	if err := client.AskREST(w.Context(), w.config, action, method, path, fields, out); err != nil {
		w.Fatalf("%s: %v", action, err)
	}
}

// text is a property, "" when it is not there.
func (r resource) text(name string) string {
	if r.props[name] == nil {
		return ""
	}
	if number, is := r.props[name].(float64); is {
		return strconv.FormatFloat(number, 'f', -1, 64)
	}
	return fmt.Sprint(r.props[name])
}

// document is a property that is JSON.
func (r resource) document(name string) string { return encode(r.props[name]) }

func encode(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(text)
}

// but are the properties without some.
func (r resource) but(names ...string) map[string]any {
	out := map[string]any{}
	for name, value := range r.props {
		if !slices.Contains(names, name) {
			out[name] = value
		}
	}
	return out
}

// tags are those of the resource and of the stack.
func (w *world) tags(r resource) []any {
	all := map[string]string{}
	for key, value := range w.stack.Tags {
		all[key] = value
	}
	list, _ := r.props["Tags"].([]any)
	for _, tag := range list {
		pair := tag.(map[string]any)
		all[fmt.Sprint(pair["Key"])] = fmt.Sprint(pair["Value"])
	}
	var out []any
	for key, value := range all {
		out = append(out, map[string]any{"Key": key, "Value": value})
	}
	return out
}

// name is the one that CloudFormation would make up.
func (w *world) name(r resource) string { return w.stack.Name + "-" + r.id + "-A1B2C3D4E5F6" }

// labels are tags as a map, with those of the stack.
func (w *world) labels(own any) map[string]any {
	all := map[string]any{}
	for key, value := range w.stack.Tags {
		all[key] = value
	}
	properties, _ := own.(map[string]any)
	maps.Copy(all, properties)
	return all
}

// lower lower-cases the first letters of keys, at all depths, as some services
// want what CloudFormation capitalises.
func lower(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, part := range v {
			out[strings.ToLower(key[:1])+key[1:]] = lower(part)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, part := range v {
			out[i] = lower(part)
		}
		return out
	}
	return value
}
