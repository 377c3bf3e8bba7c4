package control

import (
	"slices"
	"strings"

	"rocca/internal/control/iampolicy"
	"rocca/internal/facts"
	"rocca/internal/model"
)

// mostDaysOfRole is for how long a role may lie about unused.
const mostDaysOfRole = 90

var aws020 = Control{
	ID:       "AWS-20",
	Title:    "every role is used, is narrow, and is taken on by those of this account only",
	Why:      "Roles outlive what they were made for. One that nobody uses and that may do everything is what an intruder looks for first; one that trusts another account is a door of which the owner does not have the key.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudRoles},
	Eval:     inspected(rolesReviewed),
	Fix:      remedied("delete roles that nobody uses, replace * in their policies by what is used (IAM Access Analyzer proposes it from the trail), and name whom they trust", rolesReviewed),
	Maps:     []model.Ref{fsbp("IAM.1"), fsbp("IAM.21"), s1("38"), s1("39"), s1("41")},
	Since:    "0.6",
}

func rolesReviewed(v *View) inspection {
	found := inspection{absent: "there is no role"}
	worn := map[string]bool{}
	for _, role := range rolesOfInstances(v) {
		worn[role.ARN] = true
	}
	for _, role := range v.Cloud.Roles {
		if madeByAWS(role) || !worn[role.ARN] && !v.concerns(role.Tags, "") {
			continue
		}
		found.absent = ""
		subject, wrong := roleSubject(role), len(found.faults)
		last := laterOf(role.Used, role.Created)
		if unused := v.daysSince(last); unused > mostDaysOfRole && !last.IsZero() {
			found.against(subject, "not used for "+daysInWords(unused), "no role that nobody uses",
				Change{Sentence: "see what the role " + role.Name + " was last used for", Command: v.commandLine("iam", "generate-service-last-accessed-details", "--arn", role.ARN)})
		}
		v.letsIn(&found, subject+", trust", role.Trust)
		for _, p := range role.Policies {
			v.wildcards(&found, role, p)
		}
		if len(found.faults) == wrong {
			found.shows(subject, "used, no wildcard, of this account")
		}
	}
	return found
}

// madeByAWS tells whether a role is one that AWS makes, and that nobody else can
// change: for a service, or for IAM Identity Center.
func madeByAWS(role facts.CloudRole) bool {
	return strings.Contains(role.ARN, ":role/aws-service-role/") || strings.Contains(role.ARN, ":role/aws-reserved/")
}

// takenOnByService tells whether a service of AWS may take on a role, and with it
// whoever can make the service do something.
func takenOnByService(role facts.CloudRole) bool {
	trust, err := iampolicy.Parse("who may take on the role "+role.Name, role.Trust)
	if err != nil {
		return false // letsIn has told
	}
	return slices.ContainsFunc(trust.Statements, func(s iampolicy.Statement) bool {
		return s.Allow && slices.ContainsFunc(s.Principals.List, func(p iampolicy.Principal) bool { return p.Kind == "Service" })
	})
}

// wildcards notes where a policy of a role gives all actions of a service, or
// rights that are all rights, on everything. Of the policies that AWS writes
// only the one of administrators counts, and only where a machine has it: what
// people do is in the trail.
func (v *View) wildcards(found *inspection, role facts.CloudRole, p facts.CloudPolicy) {
	if strings.Contains(p.ARN, ":iam::aws:policy/") {
		if strings.HasSuffix(p.ARN, "/AdministratorAccess") && takenOnByService(role) {
			found.against(roleSubject(role)+", policy "+p.Name, "a service of AWS acts with all rights", "what it needs", Change{})
		}
		return
	}
	policy, err := iampolicy.Parse(p.Name, p.Document)
	if err != nil {
		found.unclear("could not see what the role " + role.Name + " may do: " + err.Error())
		return
	}
	var wide []string
	for _, g := range iampolicy.Grants(iampolicy.At(v.Observed), policy) {
		everything := g.Resource == "*" && len(g.NotResources) == 0
		service := g.Action == "*" || strings.HasSuffix(g.Action, ":*") || len(g.NotActions) > 0
		if len(g.Conditions) == 0 && everything && (service || slices.Contains([]string{"iam:passrole", "sts:assumerole"}, strings.ToLower(g.Action))) {
			wide = append(wide, g.String())
		}
	}
	if len(wide) > 0 {
		found.against(roleSubject(role)+", policy "+p.Name, "may "+strings.Join(wide, "; "), "actions by their names, on resources by theirs", Change{})
	}
}
