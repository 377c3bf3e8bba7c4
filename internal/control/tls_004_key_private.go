package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var tls004 = Control{
	ID:       "TLS-04",
	Title:    "nobody but root can read the private key of the certificate",
	Why:      "Who has the key is this server to every visitor: he reads and changes all that passes, and serves a tracking script of his own.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Web, facts.Accounts, facts.Files},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		var unseen []string
		keys := keyFiles(v)
		if len(keys) == 0 {
			return notApplicable("no site of Matomo has a private key")
		}
		for _, key := range keys {
			p := inode(v.Server, key)
			if !p.Exists() {
				unseen = append(unseen, key+" was not looked at")
				continue
			}
			found = append(found, ways(key, v.Reach.Readers(key), "readable by root only")...)
			if p.Type == facts.File && p.Owner != "root" {
				found = append(found, model.Evidence{Subject: key, Have: fmt.Sprintf("of %s:%s, %04o", p.Owner, p.Group, uint32(p.Mode)), Want: "root:root 0600"})
			}
		}
		return conclude(found, unseen)
	},
	Fix: Fix{
		Kind: model.FixAutomatic, Steps: []string{"self-signed certificate", "directory /etc/rocca/tls"},
		Text: "chown root:root KEY && chmod 0600 KEY. The front reads it as root, before it gives its rights away.",
		Changes: func(v *View) []Change {
			var changes []Change
			for _, key := range keyFiles(v) {
				if p := inode(v.Server, key); p.Type == facts.File && (p.Owner != "root" || p.Mode&0o077 != 0) {
					changes = append(changes, owned(key, "root", "root", 0o600))
				}
			}
			return changes
		},
	},
	Attack: "A06",
	Maps:   []model.Ref{nginx("4.1.3")},
	Since:  "0.3",
}

// keyFiles are the private keys of Matomo's sites, each once.
func keyFiles(v *View) []string {
	var keys []string
	seen := map[string]bool{"": true}
	for _, site := range v.MatomoSites() {
		if !seen[site.Key] {
			seen[site.Key] = true
			keys = append(keys, site.Key)
		}
	}
	return keys
}
