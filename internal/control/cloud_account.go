package control

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"rocca/internal/control/iampolicy"
	"rocca/internal/facts"
	"rocca/internal/model"
)

// ---- what a look found ----

// against notes what is wrong with one resource, and what puts it right. A
// change without a command is none.
func (i *inspection) against(subject, have, want string, put Change) {
	i.faults = append(i.faults, fault{model.Evidence{Subject: subject, Have: have, Want: want}, put})
}

// shows notes what is as it should be.
func (i *inspection) shows(subject, have string) {
	i.seen = append(i.seen, model.Evidence{Subject: subject, Have: have})
}

// unclear notes what could not be seen, once.
func (i *inspection) unclear(why string) {
	if !slices.Contains(i.unread, why) {
		i.unread = append(i.unread, why)
	}
}

// declines is the reason of a control that the owner has chosen to be without;
// key is that of rocca-aws.yaml. Empty: that was not chosen.
func (v *View) declines(key string, wanted bool) (reason string) {
	if v.Cloud.Wanted.Known && !wanted {
		return "rocca-aws.yaml decides " + key + ": false"
	}
	return ""
}

// byCommand is a change that a command of rocca makes on a deployment of its
// own; elsewhere it is the line that is given.
func (v *View) byCommand(sentence, rocca, elsewhere string) Change {
	if v.Cloud.Wanted.Known {
		return Change{Sentence: sentence, Command: rocca}
	}
	return Change{Sentence: sentence, Command: elsewhere}
}

// ---- ages ----

// daysSince is how many whole days lie between a time and the audit.
func (v *View) daysSince(t time.Time) int { return int(v.Observed.Sub(t) / oneDay) }

// daysInWords is a number of days.
func daysInWords(n int) string {
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}

// ago is a number of days before the audit.
func ago(n int) string {
	if n == 0 {
		return "today"
	}
	return daysInWords(n) + " ago"
}

// laterOf is the later of two times.
func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// ---- policies ----

// provisionPolicy is the inline policy by which rocca lets instances read the
// secret of the database's administrator for half an hour.
const provisionPolicy = "rocca-provision"

// inline tells whether a role has an inline policy of that name, and no other of
// the same name.
func inline(role facts.CloudRole, name string) bool {
	named := 0
	for _, p := range role.Policies {
		if p.Name == name {
			named++
			if p.ARN != "" {
				return false
			}
		}
	}
	return named == 1
}

// rolesOfInstances are the roles that instances wear, and those of a deployment
// that are made to be worn.
func rolesOfInstances(v *View) []facts.CloudRole {
	worn := map[string]bool{}
	for _, i := range instancesOf(v) {
		if i.Profile != "" {
			worn[i.Profile] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(v.Cloud.Roles), func(role facts.CloudRole) bool {
		made := role.Tags.Role() == "app" && len(role.Profiles) > 0 && v.concerns(role.Tags, "")
		return !made && !anyOf(role.Profiles, worn)
	})
}

// rolesNotSeen tells of instances whose role is not among those that were seen.
func rolesNotSeen(v *View) []string {
	known := map[string]bool{"": true}
	for _, role := range v.Cloud.Roles {
		for _, profile := range role.Profiles {
			known[profile] = true
		}
	}
	var unread []string
	for _, i := range instancesOf(v) {
		if !known[i.Profile] {
			known[i.Profile] = true
			unread = append(unread, "could not see the role of the instance profile "+i.Profile)
		}
	}
	return unread
}

func roleSubject(role facts.CloudRole) string { return "role " + role.Name }

// letsIn tells of whom outside the account a policy of a resource lets in.
func (v *View) letsIn(i *inspection, subject, document string) {
	if document == "" {
		return
	}
	policy, err := iampolicy.Parse("of "+subject, document)
	if err != nil {
		i.unclear(err.Error())
		return
	}
	if v.Cloud.Account == "" {
		i.unclear("which account this is was not seen, so that nobody can tell who is foreign in the policy of " + subject)
		return
	}
	for _, access := range policy.Outsiders(v.Cloud.Account) {
		i.against(subject, access.String(), "nobody outside the account "+v.Cloud.Account, Change{})
	}
}

// managedKey tells whether something is encrypted with a key of the account's
// own, and not with the one of AWS that everybody in the account may use.
func managedKey(key string) bool { return key != "" && !strings.Contains(key, "alias/aws/") }

// ---- names ----

// secretive are words in a name that promise a secret.
var secretive = regexp.MustCompile(`(?i)(passw(or)?d|passphrase|secret|token|private[-_.]?key|api[-_.]?key|access[-_.]?key|credential|salt)`)

// reference are endings of a name that promise no more than where a secret is.
var reference = regexp.MustCompile(`(?i)(arn|name|id|path|version)$`)

// topicName is the last part of the ARN of a topic.
func topicName(arn string) string { return arn[strings.LastIndex(arn, ":")+1:] }

// groupOfLogs is the name in the ARN of a log group.
func groupOfLogs(arn string) string {
	_, name, found := strings.Cut(arn, ":log-group:")
	if !found {
		return arn
	}
	return strings.TrimSuffix(name, ":*")
}

// secretSubject is a secret as people find it.
func secretSubject(s facts.CloudSecret) string { return "secret " + cmp.Or(s.Name, s.ARN) }

// secretsOf are the secrets that the audit is about: by their tag, or because
// RDS keeps in it the administrator of a database of ours.
func secretsOf(v *View) []facts.CloudSecret {
	managed := map[string]bool{}
	for _, d := range databases(v) {
		managed[d.MasterSecret] = true
	}
	return slices.DeleteFunc(slices.Clone(v.Cloud.Secrets), func(s facts.CloudSecret) bool {
		return s.Deleted || !managed[s.ARN] && !v.concerns(s.Tags, "")
	})
}

// keyName is a key as people find it.
func keyName(k facts.CloudKey) string {
	if len(k.Aliases) > 0 {
		return "key " + lastPart(k.ARN) + " (" + strings.Join(k.Aliases, ", ") + ")"
	}
	return "key " + lastPart(k.ARN)
}
