package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws009 = Control{
	ID:       "AWS-09",
	Title:    "every disk is encrypted with a key of one's own, and new ones are by default",
	Why:      "A snapshot of a disk that is not encrypted is a copy for whoever may read it, in this account or another. With AWS's own key nobody can say who may use it, and nobody can take it away after a break-in.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudVolumes},
	Eval:     inspected(diskEncryption),
	Fix:      remedied("rocca aws account turns encryption on for every new disk of the region; rocca aws deploy makes disks with the key of the deployment. A disk that exists is copied: snapshot, encrypted copy of it, new volume", diskEncryption),
	Maps:     []model.Ref{s1("4"), s1("25"), fsbp("EC2.3"), fsbp("EC2.7"), cisAWS("6.1.1")},
	Since:    "0.6",
}

func diskEncryption(v *View) inspection {
	found := inspection{unread: blind(v, facts.CloudDiskDefaults, facts.CloudTemplates)}
	own := map[string]bool{}
	for _, k := range v.Cloud.Keys {
		own[k.ARN], own[lastPart(k.ARN)] = true, true
		for _, alias := range k.Aliases {
			own[alias] = true
		}
	}
	blindKeys := blind(v, facts.CloudKeys)
	mine := map[string]bool{}
	for _, i := range instancesOf(v) {
		mine[i.ID] = true
	}
	const want = "encrypted with a key of one's own"
	for _, volume := range v.Cloud.Volumes {
		if !v.concerns(volume.Tags, "") && !anyOf(volume.Instances, mine) {
			continue
		}
		e := model.Evidence{Subject: labelled(volume.ID, volume.Tags), Have: "encrypted with " + volume.Key, Want: want}
		if len(volume.Instances) > 0 {
			e.Subject += " of " + strings.Join(volume.Instances, ", ")
		}
		switch {
		case !volume.Encrypted:
			e.Have = "not encrypted"
			found.faults = append(found.faults, fault{e, Change{
				Sentence: "take a snapshot of " + volume.ID + ", from which an encrypted volume can be made (aws ec2 create-volume --encrypted --snapshot-id ...)",
				Command:  v.commandLine("ec2", "create-snapshot", "--volume-id", volume.ID, "--description", "to be copied encrypted"),
			}})
		case own[volume.Key] || own[lastPart(volume.Key)]:
			e.Want = ""
			found.seen = append(found.seen, e)
		case len(blindKeys) > 0:
			found.unread = append(found.unread, blindKeys...)
		default:
			e.Have = strings.TrimSpace("encrypted with a key that is none of one's own " + volume.Key)
			found.faults = append(found.faults, fault{Evidence: e})
		}
	}
	defaults := "account " + v.Cloud.Account + " in " + v.Cloud.Region
	switch {
	case v.Unseen(facts.CloudDiskDefaults) != "":
	case v.Cloud.DiskDefaults.Encrypted:
		found.seen = append(found.seen, model.Evidence{Subject: defaults, Have: "new disks are encrypted"})
	default:
		found.faults = append(found.faults, fault{
			model.Evidence{Subject: defaults, Have: "new disks are not encrypted by default", Want: "encryption by default"},
			Change{Sentence: "encrypt new disks of the region by default", Command: v.commandLine("ec2", "enable-ebs-encryption-by-default")},
		})
	}
	for _, t := range templatesOf(v) {
		if !t.Encrypted && !v.Cloud.DiskDefaults.Encrypted && v.Unseen(facts.CloudDiskDefaults) == "" {
			found.faults = append(found.faults, fault{Evidence: model.Evidence{Subject: "launch template " + templateName(t), Have: "does not ask for encrypted disks", Want: want}})
		}
	}
	found.unread = distinct(found.unread)
	return found
}

// anyOf tells whether one of a list is in a set.
func anyOf(list []string, set map[string]bool) bool {
	for _, one := range list {
		if set[one] {
			return true
		}
	}
	return false
}
