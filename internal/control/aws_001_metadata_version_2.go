package control

import (
	"fmt"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws001 = Control{
	ID:       "AWS-01",
	Title:    "the metadata service of instances asks for a token, and answers no further than one hop",
	Why:      "Version 1 of the metadata service hands the credentials of the instance to any request, such as one that a web application was talked into making. Version 2 asks for a token first; with a limit of one hop, what runs in a container or behind a proxy cannot fetch it either.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudInstances},
	Eval:     inspected(metadataOptions),
	Fix:      remedied("require tokens and one hop on each instance and in the launch template; rocca aws deploy does so on a deployment of rocca's, and rocca aws account makes it the default of the account", metadataOptions),
	Maps:     []model.Ref{s1("3"), fsbp("EC2.8"), fsbp("EC2.170"), cisAWS("6.7")},
	Since:    "0.6",
}

func metadataOptions(v *View) inspection {
	instances, templates := instancesOf(v), templatesOf(v)
	found := inspection{unread: blind(v, facts.CloudTemplates)}
	if len(instances)+len(templates) == 0 {
		found.absent = noInstance
	}
	const want = "tokens required, 1 hop"
	for _, i := range instances {
		e := model.Evidence{Subject: labelled(i.ID, i.Tags), Have: metadataWords(i.Metadata), Want: want}
		if sound(i.Metadata) {
			found.seen = append(found.seen, e)
			continue
		}
		found.faults = append(found.faults, fault{e, Change{
			Sentence: "require tokens for the metadata of " + i.ID + ", one hop away at most",
			Command:  v.commandLine("ec2", "modify-instance-metadata-options", "--instance-id", i.ID, "--http-tokens", "required", "--http-put-response-hop-limit", "1", "--http-endpoint", "enabled"),
		}})
	}
	for _, t := range templates {
		e := model.Evidence{Subject: "launch template " + templateName(t), Have: metadataWords(t.Metadata), Want: want}
		if sound(t.Metadata) {
			found.seen = append(found.seen, e)
			continue
		}
		found.faults = append(found.faults, fault{e, newVersion(v, t, "requires tokens for metadata", `{"MetadataOptions":{"HttpEndpoint":"enabled","HttpTokens":"required","HttpPutResponseHopLimit":1}}`)})
	}
	return found
}

// sound tells whether the metadata service is off, or asks for tokens one hop
// away. What a template does not say is as the account has it, or the image.
func sound(m facts.Metadata) bool {
	return m.Endpoint == "disabled" || m.Tokens == "required" && m.Hops == 1
}

func metadataWords(m facts.Metadata) string {
	if m.Endpoint == "disabled" {
		return "metadata service off"
	}
	version, hops := "tokens "+m.Tokens, fmt.Sprintf("%d hops", m.Hops)
	switch m.Tokens {
	case "":
		version = "tokens not declared"
	case "optional":
		version = "tokens optional (version 1 answers)"
	}
	switch m.Hops {
	case 0:
		hops = "hops not declared"
	case 1:
		hops = "1 hop"
	}
	return version + ", " + hops
}

// templateName is a launch template as people find it.
func templateName(t facts.LaunchTemplate) string { return strings.TrimSpace(t.ID + " " + t.Name) }

// newVersion makes a launch template say more. What is already started stays as
// it is.
func newVersion(v *View, t facts.LaunchTemplate, does, data string) Change {
	if t.Tags.Deployment() != "" {
		return Change{Sentence: "render the launch template anew, which " + does, Command: "rocca aws deploy"}
	}
	return Change{
		Sentence: "make a version of the launch template " + t.ID + " that " + does + " (and use it)",
		Command:  v.commandLine("ec2", "create-launch-template-version", "--launch-template-id", t.ID, "--source-version", t.Version, "--launch-template-data", data),
	}
}
