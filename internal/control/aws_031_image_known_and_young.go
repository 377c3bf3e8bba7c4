package control

import (
	"fmt"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws031 = Control{
	ID:       "AWS-31",
	Title:    "instances start from an image of Debian's or the owner's that is not older than 90 days",
	Why:      "Anybody can publish an image with the name of Debian, and a back door. From an old one each new instance is open to a year of known holes until its first update is through.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudImages},
	Eval:     inspected(images),
	Fix:      remedied("rocca aws image --pin finds Debian's newest and writes it into rocca-aws.yaml; rocca aws deploy then replaces the instances, one after another", images),
	Maps:     []model.Ref{row("8")},
	Since:    "0.6",
}

// publishers are the accounts of those who make images of systems, and are
// known for it.
var publishers = map[string]string{
	"136693071363": "Debian",
	"379101102735": "Debian (before version 10)",
	"137112412989": "Amazon",
	"099720109477": "Canonical",
	"amazon":       "Amazon",
}

// imageAge is how old an image may be.
const imageAge = 90 * 24 * time.Hour

func images(v *View) inspection {
	found := inspection{unread: blind(v, facts.CloudInstances, facts.CloudTemplates)}
	users := map[string][]string{}
	var order []string
	use := func(image, subject string) {
		if image == "" {
			return
		}
		if users[image] == nil {
			order = append(order, image)
		}
		users[image] = append(users[image], subject)
	}
	for _, i := range instancesOf(v) {
		use(i.Image, i.ID)
	}
	for _, t := range templatesOf(v) {
		use(t.Image, t.ID)
	}
	if len(order) == 0 {
		found.absent = noInstance
	}
	images := map[string]facts.Image{}
	for _, i := range v.Cloud.Images {
		images[i.ID] = i
	}
	for _, id := range order {
		image, seen := images[id]
		if !seen {
			found.unread = append(found.unread, "could not see the image "+id)
			continue
		}
		subject := fmt.Sprintf("%s of %s", id, orNothing(users[id]))
		faults := len(found.faults)
		against := func(have, want string) {
			found.faults = append(found.faults, fault{model.Evidence{Subject: subject, Have: have, Want: want}, newerImage(v)})
		}
		if image.Owner == "" {
			against("is not there any more: no instance could be started from it", "an image that is there")
			continue
		}
		publisher := publishers[image.Owner]
		switch {
		case image.Owner == v.Cloud.Account:
			publisher = "this account"
			if image.Public {
				found.faults = append(found.faults, fault{
					model.Evidence{Subject: subject, Have: "is this account's, and public", Want: "private"},
					Change{Sentence: "make the image " + id + " private", Command: v.commandLine("ec2", "modify-image-attribute", "--image-id", id, "--launch-permission", "Remove=[{Group=all}]")},
				})
			}
		case publisher == "":
			against("of account "+image.Owner+", which is not known for images", "Debian (136693071363), or one's own")
		}
		if age := v.Observed.Sub(image.Created); !image.Created.IsZero() && age > imageAge {
			against(fmt.Sprintf("%d days old", int(age.Hours()/24)), "90 at most")
		}
		if !image.Deprecated.IsZero() && image.Deprecated.Before(v.Observed) {
			against("deprecated since "+date(image.Deprecated), "one that is looked after")
		}
		if pinned := v.Cloud.Wanted.Image; pinned != "" && pinned != id {
			against("is not "+pinned+", which rocca-aws.yaml names", pinned)
		}
		if len(found.faults) == faults {
			found.seen = append(found.seen, model.Evidence{Subject: subject, Have: fmt.Sprintf("%s, by %s, of %s", image.Name, publisher, date(image.Created))})
		}
	}
	return found
}

// newerImage is the way to a newer image on a deployment of rocca's.
func newerImage(v *View) Change {
	return v.byCommand("pin Debian's newest image, and replace the instances", "rocca aws image --pin && rocca aws deploy", "")
}
