package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws057 = Control{
	ID:       "AWS-57",
	Title:    "every key is enabled, rotates each year, and is open to nobody outside",
	Why:      "Who may use the key reads every disk, backup and log that it encrypts. Who may delete it destroys all of them at once, and the days until then are the only ones in which it can be stopped.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudKeys},
	Eval:     inspected(keysSound),
	Fix:      remedied("turn rotation on, cancel a deletion that nobody asked for, and keep the policy of the key to this account and to services that work for it", keysSound),
	Maps:     []model.Ref{fsbp("KMS.3"), fsbp("KMS.4"), fsbp("KMS.5"), cisAWS("4.6")},
	Since:    "0.6",
}

func keysSound(v *View) inspection {
	found := inspection{absent: "there is no key that this account manages"}
	for _, k := range v.Cloud.Keys {
		if !v.concerns(k.Tags, "") {
			continue
		}
		found.absent = ""
		subject, wrong := keyName(k), len(found.faults)
		switch k.State {
		case "Enabled":
		case "PendingDeletion":
			found.against(subject, "is to be deleted", "kept", Change{Sentence: "cancel the deletion of the " + subject, Command: v.commandLine("kms", "cancel-key-deletion", "--key-id", k.ARN)})
		case "Disabled":
			found.against(subject, "is disabled: what it encrypts cannot be read", "enabled", Change{Sentence: "enable the " + subject, Command: v.commandLine("kms", "enable-key", "--key-id", k.ARN)})
		default:
			found.against(subject, "is in the state "+k.State, "enabled", Change{})
		}
		if symmetric := k.Kind == "" || k.Kind == "SYMMETRIC_DEFAULT"; symmetric && !k.Rotates && k.State != "PendingDeletion" {
			found.against(subject, "does not rotate", "a new one each year, by AWS",
				Change{Sentence: "turn on rotation of the " + subject, Command: v.commandLine("kms", "enable-key-rotation", "--key-id", k.ARN)})
		}
		v.letsIn(&found, subject, k.Policy)
		if k.Policy == "" {
			found.unclear("could not see the policy of the " + subject)
		}
		if len(found.faults) == wrong {
			found.shows(subject, "enabled, rotates, nobody outside the account")
		}
	}
	return found
}
