package stack

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"text/template"

	"rocca/internal/aws/settings"
)

//go:embed templates/*.yaml
var templates embed.FS

// Render makes the templates of a deployment. The same settings and knowledge
// give the same bytes.
func Render(s settings.Settings, k Known) (Set, error) {
	if s.Instance.Image == "" {
		return Set{}, errors.New("render the templates: instance.image names no machine image\nhint: rocca aws image --pin finds the newest of Debian and writes it down")
	}
	set := Set{Settings: s}
	for _, role := range Roles() {
		rendered, err := render(role, view{Settings: s, Known: k})
		if err != nil {
			return Set{}, fmt.Errorf("render the template %s.yaml: %w", role, err)
		}
		if role != App {
			publish(rendered, s.Name, role)
		}
		one := Stack{Role: role, Name: Name(s, role), Template: rendered, Tags: tags(s)}
		for _, before := range set.Stacks {
			one.Needs = append(one.Needs, before.Name)
		}
		set.Stacks = append(set.Stacks, one)
	}
	return set, nil
}

// Name is that of a deployment's stack in CloudFormation.
func Name(s settings.Settings, role string) string { return s.Name + "-" + role }

// Parameter is the name under which an output of a stack can be found by the
// stacks after it, and by the instances.
func Parameter(deployment, role, output string) string {
	return "/rocca/" + deployment + "/" + role + "/" + output
}

// DeploymentTag is on everything that rocca makes, with the deployment's name.
const DeploymentTag = "rocca:deployment"

// tags are those of a stack; CloudFormation puts them on every resource that
// can have tags.
func tags(s settings.Settings) map[string]string {
	all := map[string]string{DeploymentTag: s.Name, "CostCenter": s.Name}
	for _, t := range s.Tags {
		all[t.Key] = t.Value
	}
	return all
}

// publish makes a parameter of each output.
func publish(t Template, deployment, role string) {
	for key, output := range t.Outputs {
		t.Resources["Parameter"+key] = Resource{
			Type: "AWS::SSM::Parameter",
			Is:   "note for the other stacks: " + output.Is,
			Properties: map[string]any{
				"Name": Parameter(deployment, role, key), "Type": "String", "Value": output.Value,
			},
		}
	}
}

// view is what a template sees: the settings, and what follows from them.
type view struct {
	settings.Settings
	Known
}

// Zone is an availability zone with its subnets.
type Zone struct {
	Name            string // such as eu-central-1a
	Letter          string // A, B, C: ends the logical ids of what is in it
	Edge, App, Data netip.Prefix
	First           bool
}

// slices of the VPC, of which there are sixteen: subnets of one kind lie side
// by side, so that one range names them all.
const (
	edgeSlices = 0
	appSlices  = 4
	dataSlices = 8
	sliceBits  = 4
)

// Zones are the availability zones in use.
func (v view) Zones() []Zone {
	var all []Zone
	for i, name := range v.Network.Zones {
		all = append(all, Zone{
			Name: name, Letter: string(rune('A' + i)), First: i == 0,
			Edge: slice(v.Network.CIDR, edgeSlices+i), App: slice(v.Network.CIDR, appSlices+i), Data: slice(v.Network.CIDR, dataSlices+i),
		})
	}
	return all
}

// slice is the n-th sixteenth of an IPv4 network.
func slice(network netip.Prefix, n int) netip.Prefix {
	bits := network.Bits() + sliceBits
	address := network.Masked().Addr().As4()
	offset := uint32(n) << (32 - bits)
	number := uint32(address[0])<<24 | uint32(address[1])<<16 | uint32(address[2])<<8 | uint32(address[3])
	number += offset
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(number >> 24), byte(number >> 16), byte(number >> 8), byte(number)}), bits)
}

// Single tells whether all is on one instance with an address of its own.
func (v view) Single() bool { return v.Profile == settings.Single }

// Scale tells whether trackers, user interface and jobs have their own instances.
func (v view) Scale() bool { return v.Profile == settings.Scale }

// Balanced tells whether there is a load balancer.
func (v view) Balanced() bool { return !v.Single() }

// render fills in one template and reads it.
func render(role string, v view) (Template, error) {
	name := role + ".yaml"
	parsed, err := template.New(name).Delims("[[", "]]").Option("missingkey=error").Funcs(functions(v)).ParseFS(templates, "templates/"+name)
	if err != nil {
		return Template{}, err
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, v); err != nil {
		return Template{}, err
	}
	return Load(text.Bytes())
}

// functions are what templates may call.
func functions(v view) template.FuncMap {
	return template.FuncMap{
		// q "text" quotes a value for YAML.
		"q": quote,
		// from "base" "Vpc" is an output of a stack before.
		"from": func(role, output string) (string, error) { return quote(v.from(role, output)) },
		// each "base" "EdgeSubnet" lists such an output of every zone: EdgeSubnetA, EdgeSubnetB.
		"each": func(role, output string) (string, error) {
			var all []string
			for _, zone := range v.Zones() {
				all = append(all, v.from(role, output+zone.Letter))
			}
			return quote(all)
		},
	}
}

// from is an output of a stack before: its value where that is known, and else
// what CloudFormation replaces by it.
func (v view) from(role, output string) string {
	if value, known := v.Physical[role+"."+output]; known {
		return value
	}
	return "{{resolve:ssm:" + Parameter(v.Name, role, output) + "}}"
}

// quote writes a value as JSON, which YAML reads as it is.
func quote(value any) (string, error) {
	text, err := json.Marshal(value)
	return string(text), err
}
