package control

import (
	"fmt"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// keyAge is after how long keys must have been looked through, by the date of
// their file.
const keyAge = 2 * 365 * 24 * time.Hour

var ssh005 = Control{
	ID:       "SSH-05",
	Title:    "every key that may log in is strong, has a known owner and was looked at within two years, and no private key lies on the server",
	Why:      "A key that nobody knows the owner of may be that of somebody who left, or of whoever broke in. A private key on a server opens all the others to whoever breaks into this one.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Remote},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		for _, key := range v.SSH.PrivateKeys {
			e := model.Evidence{Subject: key.Path, Have: strings.TrimSpace("private key " + key.Kind), Want: "not on the server"}
			if key.Encrypted {
				e.Have += ", encrypted"
			}
			found = append(found, e)
		}
		if !v.SSH.Installed && len(found) == 0 {
			return notApplicable(noSSH)
		}
		for _, key := range v.SSH.Keys {
			found = append(found, doubts(key, v.Observed)...)
		}
		return conclude(found, nil)
	},
	Fix:    guided("take keys out of authorized_keys that are weak or that nobody answers for, name the owner in the comment of the rest, and make new ones: ssh-keygen -t ed25519. Move private keys to where they are used; an agent or a jump host serves here"),
	Attack: "A06",
	Maps:   []model.Ref{s1("17"), s1("18"), s1("41")},
	Since:  "0.3",
}

// doubts are what speaks against a key.
func doubts(key facts.AuthorizedKey, now time.Time) []model.Evidence {
	var found []model.Evidence
	doubt := func(have, want string) {
		found = append(found, model.Evidence{Subject: key.File, Line: key.Line, Have: have, Want: want})
	}
	switch {
	case strings.HasPrefix(key.Type, "ssh-dss"):
		doubt("a DSA key", "ed25519")
	case strings.HasPrefix(key.Type, "ssh-rsa") && key.Bits < 3072:
		doubt(fmt.Sprintf("an RSA key of %d bits", key.Bits), "ed25519, or RSA of 3072 bits")
	}
	if strings.TrimSpace(key.Comment) == "" {
		doubt("nothing tells whose key it is", "a comment that names its owner")
	}
	if !key.Changed.IsZero() && now.Sub(key.Changed) > keyAge {
		doubt("not looked at since "+key.Changed.UTC().Format(time.DateOnly), "reviewed within two years")
	}
	return found
}
