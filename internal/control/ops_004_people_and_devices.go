package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var ops004 = Control{
	ID:       "OPS-04",
	Title:    "users were trained, and the devices of administrators are current and clean",
	Why:      "A keylogger on the device of an administrator reads the password and the code of the second factor, and no server can tell. Who does not know why there is a second factor gets around it.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.Own},
	Eval: func(v *View) Verdict {
		found := recorded(v, "training", "that users were trained: second factor, phishing, an app for codes with open source such as FreeOTP+")
		return conclude(append(found, recorded(v, "devices", "that devices and browsers (Firefox or Chromium) of administrators are current and free of malware")...), nil)
	},
	Fix:   guided("Train users before a second factor is demanded, look after the devices of administrators, and record both with date as training and devices under records: in rocca.yaml."),
	Maps:  []model.Ref{s2("13"), s2("14"), s2("31"), s2("32"), s2("33")},
	Since: "0.3",
}
