package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var upd001 = Control{
	ID:       "UPD-01",
	Title:    "the installed Matomo came from an archive whose signature was checked against the known key",
	Why:      "Who can change the download, or answers in its place, gives you a Matomo of his own. Only the signature of its makers, checked before unpacking against a key that was known before, tells them apart.",
	Severity: model.Critical,
	Needs:    []facts.Section{facts.Own},
	Eval: func(v *View) Verdict {
		if v.Rocca.Installed && v.Rocca.SignedWell {
			return pass(model.Evidence{Subject: "Matomo " + v.Rocca.Release, Have: "signed by " + v.Rocca.Signer})
		}
		have := "nothing on this server shows that the archive it came from was checked"
		switch {
		case v.Rocca.Installed && v.Rocca.Release == "":
			have = "what rocca recorded of the archive it came from is gone, or cannot be read"
		case v.Rocca.Installed && v.Rocca.Signer == "":
			have = "its archive was accepted without a signature"
		case v.Rocca.Installed:
			have = "its archive was signed by " + v.Rocca.Signer + ", which is another key than that of Matomo's makers"
		}
		return fail(model.Evidence{Subject: "Matomo " + v.Matomo.Version, Have: have, Want: "an archive signed by the key of Matomo's makers"})
	},
	Fix:    automatic("Install from a release that is signed: rocca up --release FILE with FILE.asc beside it, without --accept-unsigned. By hand: gpg --verify matomo.zip.asc matomo.zip before unpacking, with the key from https://builds.matomo.org/signature.asc compared with its published fingerprint.", "code /var/www/*/www-matomo.*"),
	Attack: "A34",
	Maps:   []model.Ref{asvs("15.2.4")},
	Since:  "0.3",
}
