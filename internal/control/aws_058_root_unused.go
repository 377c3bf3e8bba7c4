package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws058 = Control{
	ID:       "AWS-58",
	Title:    "the root user has a second factor and no access keys",
	Why:      "No policy limits the root user. Whoever has its key, or its password and no second factor in the way, can delete everything, backups and the trail included, and lock the owner out.",
	Severity: model.Critical,
	Needs:    []facts.Section{facts.CloudRoot},
	Eval: inspected(func(v *View) inspection {
		const subject = "root user"
		var found inspection
		if !v.Cloud.Root.MFA {
			found.against(subject, "no second factor", "a second factor, a hardware key if there is one", Change{})
		}
		if v.Cloud.Root.Keys > 0 {
			found.against(subject, fmt.Sprintf("access keys: %d", v.Cloud.Root.Keys), "none", Change{})
		}
		found.shows(subject, "has a second factor, and no access key")
		return found
	}),
	Fix:   guided("sign in as root, which is the only way: register a second factor and delete the access keys under Security credentials, then work as a user or role"),
	Maps:  []model.Ref{fsbp("IAM.4"), fsbp("IAM.9"), cisAWS("2.4"), cisAWS("2.5")},
	Since: "0.6",
}
