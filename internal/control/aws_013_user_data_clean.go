package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws013 = Control{
	ID:       "AWS-13",
	Title:    "nothing that instances start with holds a secret, opens files to everybody, or runs what was not checked",
	Why:      "User data and the output of the console can be read by whoever may describe instances, and user data by every program on the machine. What is downloaded there without a version and a hash runs as root, whoever wrote it by then.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudUserData},
	Eval:     inspected(userData),
	Fix:      guided("keep secrets in Secrets Manager, where the instance's role may read its own; fetch releases by version with their hash. rocca aws deploy writes user data that does so. A secret that was there is known: rocca aws rotate db"),
	Maps:     []model.Ref{s1("1")},
	Since:    "0.6",
}

func userData(v *View) inspection {
	instances, templates := instancesOf(v), templatesOf(v)
	found := inspection{unread: blind(v, facts.CloudInstances, facts.CloudTemplates)}
	if len(instances)+len(templates) == 0 {
		found.absent = noInstance
	}
	look := func(subject string, data facts.UserData) {
		for _, h := range data.Hits {
			found.faults = append(found.faults, fault{Evidence: model.Evidence{Subject: subject, Line: h.Line, Have: h.Kind, Want: "nothing of the kind"}})
		}
		if len(data.Hits) == 0 && data.SHA256 != "" {
			found.seen = append(found.seen, model.Evidence{Subject: subject, Have: fmt.Sprintf("clean, %d bytes, SHA-256 %.12s...", data.Bytes, data.SHA256)})
		}
	}
	for _, i := range instances {
		subject := labelled(i.ID, i.Tags)
		look(subject+" user data", i.UserData)
		look(subject+" console output", i.ConsoleOutput)
		if i.UserData.SHA256 == "" {
			found.seen = append(found.seen, model.Evidence{Subject: subject, Have: "has no user data"})
		}
	}
	for _, t := range templates {
		look("launch template "+templateName(t)+" user data", t.UserData)
	}
	return found
}
