package deploy

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"rocca/internal/aws/stack"
)

// Action is what happens to a resource.
type Action string

// The actions. Of a replacement CloudFormation sometimes knows only while it
// works whether it is needed.
const (
	Create       Action = "create"
	Update       Action = "update"
	Replace      Action = "replace"
	MightReplace Action = "might replace"
	Remove       Action = "remove"
)

// Change is what would happen to one resource.
type Change struct {
	Action     Action     `json:"action"`
	ID         string     `json:"id"` // logical
	Type       string     `json:"type"`
	Is         string     `json:"is"`                 // in words
	Physical   string     `json:"physical,omitempty"` // id in AWS; empty: not made yet
	Properties []Property `json:"properties,omitempty"`
	Security   bool       `json:"security"`          // who may do what, or who reaches what
	Exposes    []string   `json:"exposes,omitempty"` // what would be open to everybody
	Stateful   bool       `json:"stateful"`          // it holds what nothing else has
	Loses      string     `json:"loses,omitempty"`   // in words; empty: nothing
}

// Property is a property that changes.
type Property struct {
	Name     string `json:"name"`
	Before   string `json:"before,omitempty"`
	After    string `json:"after,omitempty"`
	Replaces bool   `json:"replaces,omitempty"` // a change of it gives a new resource
}

// stateful are the types that hold what nothing else has, and what is lost
// with one.
var stateful = map[string]string{
	"AWS::RDS::DBInstance":               "the database and all visits in it",
	"AWS::RDS::DBCluster":                "the database and all visits in it",
	"AWS::EC2::Volume":                   "the volume and all files on it",
	"AWS::EC2::EIP":                      "the address: names that point to it, and who lets it in, must be changed",
	"AWS::S3::Bucket":                    "the bucket and all objects in it",
	"AWS::KMS::Key":                      "the key: what it has encrypted can never be read again",
	"AWS::SecretsManager::Secret":        "the secret: who uses it must be given another",
	"AWS::ElastiCache::ReplicationGroup": "the cache and hits that wait in it",
	"AWS::ElastiCache::ServerlessCache":  "the cache and hits that wait in it",
	"AWS::ElastiCache::CacheCluster":     "the cache and hits that wait in it",
	"AWS::Backup::BackupVault":           "the vault and all backups in it",
}

// securityProperties are the types that decide who may do what, or who reaches
// what. Of those with a list only these properties do.
var securityProperties = map[string][]string{
	"AWS::IAM::":                                {},
	"AWS::EC2::SecurityGroup":                   {}, // also ...Ingress and ...Egress
	"AWS::EC2::NetworkAcl":                      {}, // also ...Entry
	"AWS::EC2::Route":                           {},
	"AWS::EC2::InternetGateway":                 {},
	"AWS::EC2::VPCGatewayAttachment":            {},
	"AWS::EC2::SubnetRouteTableAssociation":     {},
	"AWS::EC2::EIP":                             {},
	"AWS::EC2::VPCEndpoint":                     {"PolicyDocument", "SecurityGroupIds", "SubnetIds", "RouteTableIds"},
	"AWS::EC2::Subnet":                          {"MapPublicIpOnLaunch"},
	"AWS::EC2::Instance":                        {"NetworkInterfaces", "SecurityGroupIds", "IamInstanceProfile", "MetadataOptions"},
	"AWS::EC2::LaunchTemplate":                  {},
	"AWS::Route53Resolver::":                    {},
	"AWS::ElasticLoadBalancingV2::LoadBalancer": {"Scheme", "SecurityGroups", "Subnets"},
	"AWS::ElasticLoadBalancingV2::Listener":     {},
	"AWS::WAFv2::":                              {},
	"AWS::KMS::Key":                             {"KeyPolicy", "EnableKeyRotation", "Enabled"},
	"AWS::S3::BucketPolicy":                     {},
	"AWS::S3::Bucket":                           {"PublicAccessBlockConfiguration", "AccessControl", "BucketEncryption", "ObjectLockConfiguration", "OwnershipControls"},
	"AWS::SecretsManager::ResourcePolicy":       {},
	"AWS::SecretsManager::Secret":               {"KmsKeyId"},
	"AWS::SNS::TopicPolicy":                     {},
	"AWS::CloudTrail::Trail":                    {},
	"AWS::RDS::DBInstance":                      {"PubliclyAccessible", "VPCSecurityGroups", "StorageEncrypted", "KmsKeyId", "DeletionProtection", "CACertificateIdentifier"},
	"AWS::RDS::DBParameterGroup":                {"Parameters"},
	"AWS::Backup::BackupVault":                  {"AccessPolicy", "LockConfiguration"},
}

// changesOf reads the changes of a change set.
func changesOf(raw []types.Change, template stack.Template) []Change {
	changes := []Change{}
	for _, r := range raw {
		if r.ResourceChange == nil {
			continue // a hook, which is not a resource
		}
		c := readChange(*r.ResourceChange)
		describe(&c, template.Resources[c.ID], policyKeeps(r.ResourceChange.PolicyAction))
		changes = append(changes, c)
	}
	arrange(changes)
	return changes
}

func readChange(r types.ResourceChange) Change {
	c := Change{Action: Update, ID: aws.ToString(r.LogicalResourceId), Type: aws.ToString(r.ResourceType), Physical: aws.ToString(r.PhysicalResourceId)}
	switch {
	case r.Action == types.ChangeActionAdd || r.Action == types.ChangeActionImport:
		c.Action = Create
	case r.Action == types.ChangeActionRemove:
		c.Action = Remove
	case r.Replacement == types.ReplacementTrue:
		c.Action = Replace
	case r.Replacement == types.ReplacementConditional:
		c.Action = MightReplace
	}
	for _, detail := range r.Details {
		if detail.Target == nil {
			continue
		}
		name := cmp.Or(aws.ToString(detail.Target.Name), string(detail.Target.Attribute))
		if at := slices.IndexFunc(c.Properties, func(p Property) bool { return p.Name == name }); at >= 0 {
			c.Properties[at].Replaces = c.Properties[at].Replaces || detail.Target.RequiresRecreation == types.RequiresRecreationAlways
			continue // one property is told once for each thing that changes it
		}
		c.Properties = append(c.Properties, Property{name, aws.ToString(detail.Target.BeforeValue), aws.ToString(detail.Target.AfterValue),
			detail.Target.RequiresRecreation == types.RequiresRecreationAlways})
	}
	return c
}

// compared tells what a template would change, as far as two templates show:
// a change set knows more, but cannot always be made.
func compared(before, after stack.Template) []Change {
	changes := []Change{}
	for id, resource := range after.Resources {
		was, there := before.Resources[id]
		c := Change{Action: Create, ID: id, Type: resource.Type}
		if there {
			c.Action = Update
			for name := range resource.Properties {
				if !sameValue(was.Properties[name], resource.Properties[name]) {
					c.Properties = append(c.Properties, Property{Name: name})
				}
			}
			for name := range was.Properties {
				if _, stays := resource.Properties[name]; !stays {
					c.Properties = append(c.Properties, Property{Name: name})
				}
			}
			if len(c.Properties) == 0 {
				continue
			}
			slices.SortFunc(c.Properties, func(a, b Property) int { return strings.Compare(a.Name, b.Name) })
		}
		describe(&c, resource, true)
		changes = append(changes, c)
	}
	for id, resource := range before.Resources {
		if _, stays := after.Resources[id]; stays {
			continue
		}
		c := Change{Action: Remove, ID: id, Type: resource.Type}
		describe(&c, resource, retains(resource.DeletionPolicy))
		changes = append(changes, c)
	}
	arrange(changes)
	return changes
}

// sameValue compares what two templates say, whatever Go types they were read
// into.
func sameValue(a, b any) bool { return reflect.DeepEqual(plainValue(a), plainValue(b)) }

// describe adds to a change what it means.
func describe(c *Change, r stack.Resource, kept bool) {
	c.Is = cmp.Or(r.Is, wordsOfType(c.Type))
	what, holds := stateful[c.Type]
	c.Stateful = holds
	if gone := c.Action == Remove || c.Action == Replace || c.Action == MightReplace; gone && holds && !kept {
		c.Loses = what
	}
	c.Security = securityRelevant(*c, r)
	if c.Action != Remove {
		c.Exposes = exposed(r)
	}
}

// policyKeeps tells whether the old resource stays somewhere.
func policyKeeps(p types.PolicyAction) bool {
	return p == types.PolicyActionRetain || p == types.PolicyActionReplaceAndRetain
}

func securityRelevant(c Change, r stack.Resource) bool {
	var properties []string
	longest := -1
	for prefix, list := range securityProperties {
		exact := !strings.HasSuffix(prefix, "::") && len(list) > 0
		if len(prefix) > longest && (exact && c.Type == prefix || !exact && strings.HasPrefix(c.Type, prefix)) {
			properties, longest = list, len(prefix)
		}
	}
	if longest < 0 {
		return false
	}
	switch {
	case len(properties) == 0 || c.Action == Remove:
		return true
	case c.Action == Create:
		return slices.ContainsFunc(properties, func(name string) bool { return r.Properties[name] != nil })
	}
	return slices.ContainsFunc(c.Properties, func(p Property) bool { return slices.Contains(properties, p.Name) })
}

// arrange puts first what concerns security, then what is lost.
func arrange(changes []Change) {
	order := []Action{Replace, Remove, MightReplace, Update, Create}
	rank := func(c Change) int {
		n := slices.Index(order, c.Action)
		if !c.Security {
			n += len(order)
		}
		return n
	}
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.ID, b.ID))
	})
}

// exposed lists what a resource opens to everybody.
func exposed(r stack.Resource) []string {
	var found []string
	switch r.Type {
	case "AWS::EC2::SecurityGroup":
		rules, _ := r.Properties["SecurityGroupIngress"].([]any)
		for _, rule := range rules {
			if m, is := rule.(map[string]any); is {
				found = append(found, exposedByRule(m)...)
			}
		}
	case "AWS::EC2::SecurityGroupIngress":
		found = exposedByRule(r.Properties)
	case "AWS::RDS::DBInstance":
		if isTrue(r.Properties["PubliclyAccessible"]) {
			found = append(found, "the database gets a public address")
		}
	}
	return found
}

func exposedByRule(rule map[string]any) []string {
	if rule["CidrIp"] != "0.0.0.0/0" && rule["CidrIpv6"] != "::/0" {
		return nil
	}
	from, to := fmt.Sprint(rule["FromPort"]), fmt.Sprint(rule["ToPort"])
	switch {
	case fmt.Sprint(rule["IpProtocol"]) == "-1":
		return []string{"every port is open to everybody"}
	case from == to:
		return []string{"port " + from + " is open to everybody"}
	}
	return []string{"ports " + from + " to " + to + " are open to everybody"}
}

func isTrue(value any) bool { return fmt.Sprint(value) == "true" }

// wordsOfType makes "DB instance" of AWS::RDS::DBInstance, for what has no words
// of its own.
func wordsOfType(kind string) string {
	name := kind[strings.LastIndex(kind, ":")+1:]
	capital := func(i int) bool { return i < len(name) && name[i] >= 'A' && name[i] <= 'Z' }
	var words []string
	begin := 0
	for i := 1; i <= len(name); i++ {
		// A word begins with a capital, but within an abbreviation only with the
		// last one.
		if i < len(name) && (!capital(i) || capital(i-1) && (i+1 == len(name) || capital(i+1))) {
			continue
		}
		part := name[begin:i]
		if !capital(begin + 1) {
			part = strings.ToLower(part)
		}
		words, begin = append(words, part), i
	}
	return strings.Join(words, " ")
}

// sameChanges tells whether two plans of a stack do the same to the same.
func sameChanges(a, b []Change) bool {
	return slices.EqualFunc(a, b, func(a, b Change) bool { return a.ID == b.ID && a.Action == b.Action })
}
