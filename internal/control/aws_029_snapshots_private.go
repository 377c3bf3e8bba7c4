package control

import (
	"strconv"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws029 = Control{
	ID:       "AWS-29",
	Title:    "no snapshot of a disk is public, and none can be made so",
	Why:      "A public snapshot is the whole disk, with every password on it, for anybody with an account at AWS. Lists of new ones are read by programs within minutes.",
	Severity: model.Critical,
	Needs:    []facts.Section{facts.CloudSnapshots},
	Eval:     inspected(snapshots),
	Fix:      remedied("take the permission away, and treat what was on the disk as known to others; rocca aws account blocks public snapshots for the whole region", snapshots),
	Maps:     []model.Ref{s1("4"), fsbp("EC2.1"), fsbp("EC2.182")},
	Since:    "0.6",
}

// snapshots looks at all of the account that are not another deployment's: what
// nobody tagged may be ours.
func snapshots(v *View) inspection {
	found := inspection{unread: blind(v, facts.CloudDiskDefaults)}
	looked := 0
	for _, s := range v.Cloud.Snapshots {
		if of := s.Tags.Deployment(); v.Cloud.Deployment != "" && of != "" && of != v.Cloud.Deployment {
			continue
		}
		looked++
		if s.Public {
			found.faults = append(found.faults, fault{
				model.Evidence{Subject: labelled(s.ID, s.Tags), Have: "anybody may copy it", Want: "nobody but this account"},
				Change{
					Sentence: "make the snapshot " + s.ID + " private",
					Command:  v.commandLine("ec2", "modify-snapshot-attribute", "--snapshot-id", s.ID, "--attribute", "createVolumePermission", "--operation-type", "remove", "--group-names", "all"),
				},
			})
		}
	}
	account := "account " + v.Cloud.Account + " in " + v.Cloud.Region
	switch block := v.Cloud.DiskDefaults.SnapshotBlock; {
	case v.Unseen(facts.CloudDiskDefaults) != "":
	case block == "block-all-sharing":
		found.seen = append(found.seen, model.Evidence{Subject: account, Have: "public sharing of snapshots is blocked"})
	default:
		have := "snapshots can be made public"
		if block == "block-new-sharing" {
			have = "snapshots that are public already stay so"
		}
		found.faults = append(found.faults, fault{
			model.Evidence{Subject: account, Have: have, Want: "block-all-sharing"},
			Change{Sentence: "block public snapshots in the region", Command: v.commandLine("ec2", "enable-snapshot-block-public-access", "--state", "block-all-sharing")},
		})
	}
	found.seen = append(found.seen, model.Evidence{Subject: strconv.Itoa(looked) + " snapshots", Have: "none is public"})
	return found
}
