package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws056 = Control{
	ID:       "AWS-56",
	Title:    "no parameter holds a secret in clear, and no document of Systems Manager is public",
	Why:      "A parameter that is not a SecureString is read by everybody who may read parameters, which is most of an account. A public document shows the world what is run on the servers, and with which values.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudParameters},
	Eval:     inspected(parametersClosed),
	Fix:      remedied("keep secrets in Secrets Manager, or as a SecureString with a key of their own, and share no document with all", parametersClosed),
	Maps:     []model.Ref{fsbp("SSM.4"), s1("1"), s1("17")},
	Since:    "0.6",
}

func parametersClosed(v *View) inspection {
	found := inspection{unread: blind(v, facts.CloudDocuments), absent: "there are neither parameters nor documents"}
	for _, p := range v.Cloud.Parameters {
		if !v.mentions(p.Name) {
			continue
		}
		found.absent = ""
		subject := "parameter " + p.Name
		switch {
		case p.Kind == "SecureString":
			found.shows(subject, "a SecureString")
		case ofStack(p.Name) || !secretive.MatchString(p.Name) || reference.MatchString(p.Name):
			found.shows(subject, "a "+p.Kind+", whose name promises no secret")
		default:
			found.against(subject, "a "+p.Kind+", and its name promises a secret", "a SecureString, or a secret of Secrets Manager", Change{})
		}
	}
	for _, d := range v.Cloud.Documents {
		if !v.mentions(d.Name) {
			continue
		}
		found.absent = ""
		subject := "document " + d.Name
		if slices.ContainsFunc(d.SharedTo, func(with string) bool { return strings.EqualFold(with, "all") }) {
			found.against(subject, "shared with everybody", "shared with nobody",
				Change{Sentence: "share the " + subject + " no longer with everybody", Command: v.commandLine("ssm", "modify-document-permission", "--name", d.Name, "--permission-type", "Share", "--account-ids-to-remove", "all")})
		} else {
			found.shows(subject, "not public")
		}
	}
	return found
}

// mentions tells of a name whether it is of the deployment that was asked about.
// Parameters and documents are told without their tags.
func (v *View) mentions(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, strings.ToLower(v.Cloud.Deployment)) || strings.Contains(name, "matomo")
}

// ofStack tells whether a parameter is one of those by which the stacks of
// rocca tell each other where a secret is.
func ofStack(name string) bool {
	parts := strings.Split(strings.TrimPrefix(name, "/"), "/")
	return len(parts) == 4 && parts[0] == "rocca" && parts[2] == "data" && (parts[3] == "Secret" || parts[3] == "MasterSecret")
}
