package control

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"rocca/internal/control/iampolicy"
	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws002 = Control{
	ID:       "AWS-02",
	Title:    "the role of the instances may do what Matomo needs, and nothing else",
	Why:      "Whoever makes the web server fetch one address, or runs one line on it, has the credentials of its role. With the private keys, secrets or rights of others in reach, one hole in Matomo is the whole account.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudRoles},
	Eval:     inspected(hostRolesBounded),
	Fix:      remedied("give the role what the template base of rocca gives it (rocca aws synth shows it: HostPolicy), and detach all other policies", hostRolesBounded),
	Maps:     []model.Ref{fsbp("IAM.1"), fsbp("IAM.21"), fsbp("KMS.1"), fsbp("KMS.2"), s1("3"), s1("20"), s1("21"), s1("38"), row("5")},
	Since:    "0.6",
}

// longestProvision is how long the right to read the administrator's secret may
// still last: half an hour, and something for clocks that differ.
const longestProvision = 45 * time.Minute

func hostRolesBounded(v *View) inspection {
	found := inspection{unread: append(blind(v, facts.CloudInstances), rolesNotSeen(v)...)}
	roles := rolesOfInstances(v)
	if len(roles) == 0 {
		found.absent = "no instance has a role"
	}
	for _, role := range roles {
		wrong := len(found.faults)
		policies, err := policiesOf(role)
		if err != nil {
			found.unclear(err.Error())
			continue
		}
		v.beyondHost(&found, role, policies)
		v.strangersWear(&found, role)
		if len(found.faults) == wrong {
			found.shows(roleSubject(role), "may do what rocca gives it, and nothing else")
		}
	}
	return found
}

// beyondHost notes what a role may do beyond what rocca gives it.
func (v *View) beyondHost(found *inspection, role facts.CloudRole, policies []iampolicy.Policy) {
	rights := v.hostRights(cmp.Or(role.Tags.Deployment(), v.Cloud.Deployment))
	provision := inline(role, provisionPolicy)
	type group struct{ policy, on, danger, when string }
	actions := map[group][]string{}
	var groups []group
	for _, g := range iampolicy.Grants(iampolicy.At(v.Observed), policies...) {
		within := func(r iampolicy.Right) bool { return g.Within(r) }
		if slices.ContainsFunc(rights, within) || role.Tags.Deployment() == "" && narrow(g) {
			continue
		}
		if provision && g.Policy == provisionPolicy && slices.ContainsFunc(provisionRights, within) {
			if ends := g.Ends(); !ends.IsZero() && ends.Sub(v.Observed) <= longestProvision {
				found.shows(roleSubject(role), "may "+g.String()+" until "+ends.UTC().Format(time.RFC3339)+", to make accounts (rocca aws provision)")
				continue
			}
		}
		action, on, _ := strings.Cut(g.String(), " on ")
		one := group{g.Policy, on, danger(g), g.If()}
		if actions[one] == nil {
			groups = append(groups, one)
		}
		actions[one] = append(actions[one], action)
	}
	for _, one := range groups {
		have := "may " + strings.Join(actions[one], ", ") + " on " + one.on + ": " + one.danger
		if one.when != "" {
			have += ", where " + one.when
		}
		want := "nothing beyond what Matomo needs"
		if one.policy == provisionPolicy {
			want = "half an hour at most, to make the accounts of the database"
		}
		found.against(roleSubject(role)+", policy "+one.policy, have, want, v.withoutPolicy(role, one.policy))
	}
}

// hostRights are what the template base gives the role of the instances of a
// deployment.
func (v *View) hostRights(deployment string) []iampolicy.Right {
	arn := func(service, resource string) []string {
		return []string{"arn:" + v.partition() + ":" + service + ":" + cmp.Or(v.Cloud.Region, "*") + ":" + cmp.Or(v.Cloud.Account, "*") + ":" + resource}
	}
	rights := []iampolicy.Right{
		{Actions: []string{"logs:describeloggroups"}, Resources: []string{"*"}},
		{Actions: []string{"ssm:listassociations", "ssm:listinstanceassociations", "ssm:updateinstanceinformation", "ssmmessages:createcontrolchannel",
			"ssmmessages:createdatachannel", "ssmmessages:opencontrolchannel", "ssmmessages:opendatachannel"}, Resources: []string{"*"}},
		{Actions: []string{"kms:decrypt"}, Resources: arn("kms", "key/"+strings.Repeat("?", 36)), When: map[string]string{"kms:ViaService": "secretsmanager.*.amazonaws.com*"}},
	}
	if deployment == "" {
		return rights
	}
	return append(rights,
		iampolicy.Right{Actions: []string{"secretsmanager:getsecretvalue"}, Resources: arn("secretsmanager", "secret:rocca/"+deployment+"/app-??????")},
		iampolicy.Right{Actions: []string{"ssm:getparameter"}, Resources: arn("ssm", "parameter/rocca/"+deployment+"/*")},
		iampolicy.Right{Actions: []string{"cloudformation:signalresource"}, Resources: arn("cloudformation", "stack/"+deployment+"-app/*")},
		iampolicy.Right{Actions: []string{"logs:createlogstream", "logs:describelogstreams", "logs:putlogevents"},
			Resources: slices.Concat(arn("logs", "log-group:"+deployment+"-base-InstanceLogs-*"), arn("logs", "log-group:"+deployment+"-base-SessionLogs-*"))},
		iampolicy.Right{Actions: []string{"cloudwatch:putmetricdata"}, Resources: []string{"*"}, When: map[string]string{"cloudwatch:namespace": "rocca/" + deployment}},
	)
}

// provisionRights are what rocca aws provision gives for half an hour.
var provisionRights = []iampolicy.Right{
	{Actions: []string{"secretsmanager:getsecretvalue"}, Resources: []string{"arn:*:secretsmanager:*:*:secret:rds!*-??????"}},
	{Actions: []string{"kms:decrypt"}, Resources: []string{"arn:*:kms:*:*:key/" + strings.Repeat("?", 36)}, When: map[string]string{"kms:ViaService": "secretsmanager.*.amazonaws.com*"}},
}

// narrow tells whether what a role of somebody else's deployment may do is as
// narrow as what rocca gives: on one thing, by its name.
func narrow(g iampolicy.Grant) bool {
	resource := strings.TrimSuffix(g.Resource, ":*") // streams of a group of logs
	resource = strings.TrimSuffix(strings.TrimSuffix(resource, "-??????"), "-*")
	if strings.ContainsAny(resource, "*?") || g.Reaches("ssm:GetParameter*", "arn:*:ssm:*:*:parameter/ec2/keypair/*") {
		return false
	}
	return g.Within(iampolicy.Right{Resources: []string{"*"}, Actions: []string{"secretsmanager:getsecretvalue", "secretsmanager:describesecret",
		"ssm:getparameter", "ssm:getparameters", "kms:decrypt", "logs:createlogstream", "logs:describelogstreams", "logs:putlogevents", "s3:getobject"}})
}

// dangers are what a right gives to whoever takes over an instance, the worst
// first.
var dangers = []struct{ action, resource, is string }{
	{"iam:PassRole", "*", "starts machines with roles of others"},
	{"iam:Put*", "*", "gives itself every right"},
	{"iam:Attach*", "*", "gives itself every right"},
	{"sts:AssumeRole", "*", "takes on other roles"},
	{"ssm:GetParameter*", "arn:*:ssm:*:*:parameter/ec2/keypair/*", "the private keys of EC2 key pairs are among these"},
	{"ssm:SendCommand", "*", "runs commands on other instances"},
	{"secretsmanager:*", "*", "secrets of others are among these"},
	{"ssm:GetParameter*", "*", "parameters of others, and what is secret in them"},
	{"kms:Decrypt", "*", "decrypts what others have encrypted"},
	{"s3:*", "*", "objects of others are among these"},
	{"rds:*", "*", "the database is reached beside Matomo"},
	{"logs:*", "*", "forges or reads lines of other logs"},
	{"cloudwatch:Put*", "*", "forges measurements, and so silences alarms"},
	{"ec2:*", "*", "the network and user data of all instances are among these"},
}

// danger is what a grant gives to whoever takes over an instance.
func danger(g iampolicy.Grant) string {
	if g.Action == "*" || len(g.NotActions) > 0 {
		return "whoever holds an instance holds the account"
	}
	for _, d := range dangers {
		if g.Reaches(d.action, d.resource) {
			return d.is
		}
	}
	return "Matomo does not need it"
}

// strangersWear notes who else than EC2 may take on the role of instances.
func (v *View) strangersWear(found *inspection, role facts.CloudRole) {
	if role.Trust == "" {
		found.unclear("could not see who may take on the role " + role.Name)
		return
	}
	trust, err := iampolicy.Parse("who may take on the role "+role.Name, role.Trust)
	if err != nil {
		found.unclear(err.Error())
		return
	}
	for _, s := range trust.Statements {
		if !s.Allow {
			continue
		}
		if s.Principals.But {
			found.against(roleSubject(role)+", trust", "anybody but those it names may take it on", "ec2.amazonaws.com only", Change{})
		}
		for _, p := range s.Principals.List {
			if !s.Principals.But && (p.Kind != "Service" || !strings.HasPrefix(p.ID, "ec2.amazonaws.com")) {
				found.against(roleSubject(role)+", trust", p.Kind+" "+p.ID+" may take it on", "ec2.amazonaws.com only", Change{})
			}
		}
	}
}

// withoutPolicy takes a policy off a role of a deployment of rocca, which needs
// none but its own.
func (v *View) withoutPolicy(role facts.CloudRole, policy string) Change {
	if role.Tags.Deployment() == "" || policy == "rocca-host" {
		return Change{} // what else needs it is not known; or it is drift (AWS-69)
	}
	for _, p := range role.Policies {
		if p.Name != policy {
			continue
		}
		if p.ARN != "" {
			return Change{Sentence: "detach " + policy + " from the role " + role.Name, Command: v.commandLine("iam", "detach-role-policy", "--role-name", role.Name, "--policy-arn", p.ARN)}
		}
		return Change{Sentence: "take " + policy + " off the role " + role.Name, Command: v.commandLine("iam", "delete-role-policy", "--role-name", role.Name, "--policy-name", policy)}
	}
	return Change{}
}
