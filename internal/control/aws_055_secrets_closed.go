package control

import (
	"fmt"
	"slices"
	"strings"

	"rocca/internal/control/iampolicy"
	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws055 = Control{
	ID:       "AWS-55",
	Title:    "secrets have a key of their own, nobody outside reads them, and instances one only",
	Why:      "The key that AWS makes for Secrets Manager is open to the whole account, and no policy can narrow it. Where the role of an instance reads more than the one secret it lives by, whoever takes over Matomo takes over what the others open, the database's administrator first.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudSecrets},
	Eval:     inspected(secretsClosed),
	Fix:      remedied("encrypt each secret with a key of the deployment, take others out of its policy (aws secretsmanager put-resource-policy), and let the role of instances read one secret by its ARN", secretsClosed),
	Maps:     []model.Ref{fsbp("SecretsManager.3"), s1("19"), s1("20")},
	Since:    "0.6",
}

func secretsClosed(v *View) inspection {
	found := inspection{unread: append(blind(v, facts.CloudRoles, facts.CloudInstances, facts.CloudDatabases), rolesNotSeen(v)...)}
	secrets := secretsOf(v)
	if len(secrets) == 0 {
		found.absent = "there is no secret in Secrets Manager"
	}
	for _, s := range secrets {
		subject := secretSubject(s)
		if managedKey(s.Key) {
			found.shows(subject, "encrypted with "+s.Key)
		} else {
			found.against(subject, "encrypted with the key that AWS makes for the whole account", "a key of its own", ownKey(v, s))
		}
		v.letsIn(&found, subject, s.Policy)
	}
	ofSecrets, err := policiesOfSecrets(v)
	if err != nil {
		found.unclear(err.Error())
	}
	for _, role := range rolesOfInstances(v) {
		readable, err := v.reads(role, ofSecrets)
		if err != nil {
			found.unclear(err.Error())
			continue
		}
		if len(readable) > 1 {
			found.against(roleSubject(role), fmt.Sprintf("reads %d secrets: %s", len(readable), strings.Join(readable[:min(len(readable), 5)], ", ")), "one, that of Matomo", Change{})
		} else {
			found.shows(roleSubject(role), "reads of all secrets: "+orNothing(readable))
		}
	}
	return found
}

const readSecret = "secretsmanager:GetSecretValue"

// policiesOfSecrets are those that secrets have of their own, by ARN.
func policiesOfSecrets(v *View) (map[string]iampolicy.Policy, error) {
	policies := map[string]iampolicy.Policy{}
	for _, s := range v.Cloud.Secrets {
		if s.Policy == "" {
			continue
		}
		policy, err := iampolicy.Parse("of "+secretSubject(s), s.Policy)
		if err != nil {
			return nil, err
		}
		policies[s.ARN] = policy
	}
	return policies, nil
}

// reads are the names of the secrets that a role may read, but by the right that
// rocca gives for half an hour.
func (v *View) reads(role facts.CloudRole, ofSecrets map[string]iampolicy.Policy) ([]string, error) {
	policies, err := policiesOf(role)
	if err != nil {
		return nil, err
	}
	provision := inline(role, provisionPolicy)
	var about []iampolicy.Policy
	for _, p := range policies {
		if p = p.About(readSecret); len(p.Statements) > 0 && !(provision && p.Name == provisionPolicy) {
			about = append(about, p)
		}
	}
	known := iampolicy.At(v.Observed)
	var readable []string
	for _, s := range v.Cloud.Secrets {
		own, has := ofSecrets[s.ARN]
		if len(about) == 0 && !has {
			continue
		}
		request := iampolicy.Request{Principal: role.ARN, Action: readSecret, Resource: s.ARN, Known: known}
		if iampolicy.Decide(request, slices.Concat(about, []iampolicy.Policy{own})...).Allowed {
			readable = append(readable, s.Name)
		}
	}
	return readable, nil
}

// ownKey is the change that encrypts a secret with the key of data.
func ownKey(v *View, s facts.CloudSecret) Change {
	key := v.keyForData()
	if key == "" {
		return Change{}
	}
	return Change{Sentence: "encrypt the " + secretSubject(s) + " with a key of its own", Command: v.commandLine("secretsmanager", "update-secret", "--secret-id", s.ARN, "--kms-key-id", key)}
}
