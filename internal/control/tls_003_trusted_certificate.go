package control

import (
	"fmt"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var tls003 = Control{
	ID:       "TLS-03",
	Title:    "the certificate is trusted, for the right names, valid for two weeks and more, and renewed by a timer that has worked",
	Why:      "Visitors who learn to click warnings away also click away that of an attacker. Scripts of tracked sites do not even ask: with a bad certificate nothing is recorded.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Web},
	Eval: func(v *View) Verdict {
		sites := v.MatomoSites()
		if len(sites) == 0 {
			return unknown(noSite)
		}
		var found []model.Evidence
		var unseen []string
		speaking := tlsSites(v)
		if len(speaking) == 0 {
			found = append(found, siteSubject(sites[0], "no site of Matomo has a certificate", "a certificate for its names"))
		}
		for _, site := range speaking {
			c, known := v.Certificates[site.Chain]
			switch {
			case site.Chain == "":
				found = append(found, siteSubject(site, "no certificate is named", "a certificate for "+strings.Join(site.Names, ", ")))
			case !known:
				unseen = append(unseen, site.Chain+" was not looked at")
			case c.Problem != "":
				unseen = append(unseen, site.Chain+" could not be read: "+c.Problem)
			default:
				found = append(found, certificateFaults(v, site, c)...)
			}
		}
		return conclude(found, unseen)
	},
	// The catalogue has this as automatic: rocca makes a self-signed certificate
	// for a start, but a real one needs the owner's name and consent to a CA.
	Fix:    guided("Get a certificate from a CA for the public names, with a timer that renews it (apt install certbot), and name it in rocca.yaml: tls: certificate, key. certbot renew --dry-run rehearses it."),
	Attack: "A21",
	Maps:   []model.Ref{asvs("12.2.2"), nginx("4.1.2")},
	Since:  "0.3",
}

func certificateFaults(v *View, site facts.Site, c facts.Certificate) []model.Evidence {
	var found []model.Evidence
	against := func(have, want string) {
		found = append(found, model.Evidence{Subject: site.Chain, Have: have, Want: want})
	}
	switch {
	case c.SelfSigned:
		against("self-signed: browsers warn, and it proves nothing to them", "a certificate of a CA, named in rocca.yaml by its owner")
	case !c.Trusted:
		against("issued by "+c.Issuer+", which this machine does not trust", "a CA that browsers trust, with the whole chain in the file")
	}
	names := v.Declared.Names
	if len(names) == 0 {
		names = site.Names
	}
	for _, name := range names {
		if name != "" && name != "_" && !strings.ContainsAny(name, "~*") && !certified(c.Names, name) {
			against("for "+strings.Join(c.Names, ", ")+", not for "+name, "for "+name)
		}
	}
	left := c.NotAfter.Sub(v.Observed)
	if left < 14*oneDay || v.Observed.Before(c.NotBefore) {
		against(fmt.Sprintf("valid from %s to %s", date(c.NotBefore), date(c.NotAfter)), "valid for 14 days and more")
	}
	switch {
	case c.SelfSigned:
	case c.Renewal == "":
		against("nothing was found that renews it", "a timer, such as certbot.timer")
	case c.Rehearsed.IsZero() || v.Observed.Sub(c.Rehearsed) > 90*oneDay:
		have := c.Renewal + " has never worked"
		if !c.Rehearsed.IsZero() {
			have = c.Renewal + " has last worked on " + c.Rehearsed.Format(time.DateOnly)
		}
		against(have, "a run that worked in the last 90 days: certbot renew --dry-run")
	}
	return found
}

// certified tells whether a name is among those of a certificate.
func certified(names []string, wanted string) bool {
	wanted = strings.ToLower(wanted)
	for _, name := range names {
		name = strings.ToLower(name)
		_, domain, _ := strings.Cut(wanted, ".")
		if name == wanted || domain != "" && name == "*."+domain {
			return true
		}
	}
	return false
}
