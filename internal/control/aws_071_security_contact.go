package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws071 = Control{
	ID:       "AWS-71",
	Title:    "AWS knows whom to call about security",
	Why:      "When AWS sees keys of the account on the Internet, or attacks from it, it writes to the security contact. Without one the mail goes to the address of the root user, which often nobody reads.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.CloudContact},
	Eval:     inspected(contactSet),
	Fix:      remedied("rocca aws account --phone NUMBER sets the address of rocca-aws.yaml; elsewhere aws account put-alternate-contact --alternate-contact-type SECURITY", contactSet),
	Maps:     []model.Ref{fsbp("Account.1"), cisAWS("2.3")},
	Since:    "0.6",
}

func contactSet(v *View) inspection {
	var found inspection
	if !v.Cloud.Contact.Set {
		found.against("security contact", "not set", "an address that is read", v.byCommand("set the security contact", "rocca aws account", ""))
	}
	found.shows("security contact", "set")
	return found
}
