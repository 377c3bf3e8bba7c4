package control

import (
	"fmt"

	"rocca/internal/control/iampolicy"
	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws003 = Control{
	ID:       "AWS-03",
	Title:    "no instance has an SSH key pair, and no role of an instance may read private keys",
	Why:      "The private key of a pair lies somewhere for ever and has no owner; AWS keeps those that CloudFormation makes as parameters below /ec2/keypair. Where the role of an instance may read them, whoever talks its web server into one request is root on every machine of the region.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudInstances},
	Eval:     inspected(keyPairs),
	Fix:      remedied("start instances without a key pair: rocca aws ssh makes a key for each session, or goes through Systems Manager. Take ssm:GetParameter on /ec2/keypair out of the role, and delete the parameters once nobody needs them", keyPairs),
	Maps:     []model.Ref{s1("17"), s1("18"), row("1")},
	Since:    "0.6",
}

func keyPairs(v *View) inspection {
	instances, templates := instancesOf(v), templatesOf(v)
	found := inspection{unread: blind(v, facts.CloudTemplates, facts.CloudRoles)}
	if len(found.unread) == 0 {
		found.unread = rolesNotSeen(v)
	}
	if len(instances)+len(templates) == 0 {
		found.absent = noInstance
	}
	const want = "no key pair"
	for _, i := range instances {
		e := model.Evidence{Subject: labelled(i.ID, i.Tags), Have: "no key pair", Want: want}
		if i.KeyPair != "" {
			e.Have = "key pair " + i.KeyPair
			found.faults = append(found.faults, fault{Evidence: e}) // only a new instance is without
			continue
		}
		found.seen = append(found.seen, e)
	}
	for _, t := range templates {
		if t.KeyPair != "" {
			found.faults = append(found.faults, fault{
				Evidence: model.Evidence{Subject: "launch template " + templateName(t), Have: "key pair " + t.KeyPair, Want: want},
			})
		}
	}
	privateKeys := "arn:" + v.partition() + ":ssm:" + v.Cloud.Region + ":" + v.Cloud.Account + ":parameter/ec2/keypair/*"
	for _, role := range rolesOfInstances(v) {
		policies, err := policiesOf(role)
		if err != nil {
			found.unread = append(found.unread, err.Error())
			continue
		}
		for _, g := range iampolicy.Grants(iampolicy.Known{}, policies...) {
			if g.Reaches("ssm:GetParameter*", privateKeys) {
				found.faults = append(found.faults, fault{Evidence: model.Evidence{
					Subject: roleSubject(role) + ", policy " + g.Policy,
					Have:    "may " + g.String() + ": private keys of key pairs are among these",
					Want:    "parameters of its own deployment only",
				}})
			}
		}
	}
	return found
}

// policiesOf reads the policies of a role.
func policiesOf(role facts.CloudRole) ([]iampolicy.Policy, error) {
	var policies []iampolicy.Policy
	for _, written := range role.Policies {
		policy, err := iampolicy.Parse(written.Name, written.Document)
		if err != nil {
			return nil, fmt.Errorf("could not see what the role %s may do: %w", role.Name, err)
		}
		policies = append(policies, policy)
	}
	return policies, nil
}
