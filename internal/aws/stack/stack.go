// Package stack renders a deployment to CloudFormation templates: concrete
// JSON from the commented YAML below templates/. It touches nothing outside.
package stack

import (
	"rocca/internal/aws/instance"
	"rocca/internal/aws/settings"
)

// The stacks. Each has a life of its own: base is made once, watch and data
// outlive every server, app may be replaced at any time.
const (
	Base  = "base"  // network, groups, keys, logs, buckets, messages, role of the instances
	Watch = "watch" // trail, alarms on it, budget, backups
	Data  = "data"  // database, cache, secret
	App   = "app"   // instances, load balancer, certificate, firewall, alarms
)

// Roles are the stacks in the order they are deployed.
func Roles() []string { return []string{Base, Watch, Data, App} }

// Known is what settings cannot say: what exists in the account, and what the
// stacks before have made. An offline rendering knows none of it.
type Known struct {
	Account  string            // twelve digits; empty: ${AWS::AccountId} is left to CloudFormation
	Physical map[string]string // "base.Vpc" -> "vpc-0123..."; what is not here becomes a dynamic reference to its Parameter
	Program  Artefact          // the rocca that instances fetch
	CA       Artefact          // the authorities of RDS, a PEM file
	Server   map[string]any    // further keys of rocca.yaml for the servers; none is secret
}

// Artefact is a file that instances fetch and check before use.
type Artefact = instance.Artefact

// Set is a rendered deployment.
type Set struct {
	Settings settings.Settings
	Stacks   []Stack // in the order they are deployed
}

// Stack is one CloudFormation stack.
type Stack struct {
	Role     string   // one of Roles
	Name     string   // in CloudFormation: NAME-base
	Needs    []string // names of stacks that come before
	Template Template
	Tags     map[string]string
}

// Template is a CloudFormation template without parameters and conditions: all
// is concrete, so that scanners and people see what will be.
type Template struct {
	Description string
	Resources   map[string]Resource // by logical id
	Outputs     map[string]Output
}

// Resource is one resource of a template.
type Resource struct {
	Type                string         // such as AWS::EC2::VPC
	Is                  string         `json:"-"` // in words for people, such as "network of the deployment"
	Properties          map[string]any `json:",omitempty"`
	DependsOn           []string       `json:",omitempty"` // logical ids
	DeletionPolicy      string         `json:",omitempty"`
	UpdateReplacePolicy string         `json:",omitempty"`
	CreationPolicy      map[string]any `json:",omitempty"`
	UpdatePolicy        map[string]any `json:",omitempty"`
}

// Output is what a stack tells those after it, and people. Each output of Base
// and Data is also a parameter, see Parameter.
type Output struct {
	Is    string // in words; Description in the JSON
	Value any
}

// MostTemplateBytes is the size of a template that CloudFormation takes
// without a bucket (CreateChangeSet, TemplateBody).
const MostTemplateBytes = 51200
