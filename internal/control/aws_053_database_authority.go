package control

import (
	"cmp"
	"slices"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// authorityAhead is how long before the end of a CA the database must have
// another: servers must trust the next one first.
const authorityAhead = 180 * 24 * time.Hour

// wantedAuthority is the CA of the databases that rocca makes. Hosts trust all
// that RDS publishes for their region.
const wantedAuthority = "rds-ca-rsa2048-g1"

// trusted are the CAs in the bundle that RDS publishes.
var trusted = []string{wantedAuthority, "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1"}

var authorities = each[facts.CloudDatabase]{
	all: databases, none: noDatabase,
	judge: func(v *View, d facts.CloudDatabase) ([]model.Evidence, []string) {
		subject := databaseSubject(d)
		if !slices.Contains(trusted, d.Authority) {
			return []model.Evidence{{Subject: subject, Have: "its certificate is by " + cmp.Or(d.Authority, "an authority that AWS does not name"), Want: wantedAuthority}}, nil
		}
		if unread := blind(v, facts.CloudDBAuthorities); len(unread) > 0 {
			return nil, unread
		}
		i := slices.IndexFunc(v.Cloud.DBAuthorities, func(a facts.DBAuthority) bool { return a.ID == d.Authority })
		if i < 0 || v.Cloud.DBAuthorities[i].Expires.IsZero() {
			return nil, []string{"could not see when " + d.Authority + " ends"}
		}
		if ends := v.Cloud.DBAuthorities[i].Expires; ends.Before(v.Observed.Add(authorityAhead)) {
			return []model.Evidence{{Subject: subject, Have: d.Authority + " ends " + date(ends), Want: "180 days left at least"}}, nil
		}
		return nil, nil
	},
	shows: func(v *View, d facts.CloudDatabase) []model.Evidence {
		i := slices.IndexFunc(v.Cloud.DBAuthorities, func(a facts.DBAuthority) bool { return a.ID == d.Authority })
		return ofDatabase(d, d.Authority+", until "+date(v.Cloud.DBAuthorities[i].Expires))
	},
	puts: func(v *View, d facts.CloudDatabase) []Change {
		if d.Authority == wantedAuthority {
			return nil // which one comes next is not known yet
		}
		return []Change{modified(v, d, "give "+databaseSubject(d)+" a certificate by "+wantedAuthority+", in its next maintenance window (hosts must trust it: DB-07)", "--ca-certificate-identifier", wantedAuthority)}
	},
}

var aws053 = Control{
	ID:       "AWS-53",
	Title:    "the certificate of the database is by an authority that hosts trust, and that does not end within half a year",
	Why:      "When the authority ends, hosts that check it lose the database, and people then switch the check off: from that day on, anybody on the way may answer in its place.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudDatabases},
	Eval:     authorities.verdict,
	Fix:      guidedBy("Let hosts trust the present bundle of RDS (rocca aws deploy gives it to them), then give the database a certificate by "+wantedAuthority+".", authorities.changes),
	Maps:     []model.Ref{s1("27")},
	Since:    "0.6",
}
