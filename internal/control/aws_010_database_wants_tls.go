package control

import (
	"cmp"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var databasesWantTLS = each[facts.CloudDatabase]{
	all: databasesOfMatomo, none: noDatabase,
	judge: func(_ *View, d facts.CloudDatabase) (against []model.Evidence, _ []string) {
		if d.Parameters == nil || ofCluster(d) {
			return nil, []string{"could not see the parameters of " + databaseSubject(d)}
		}
		subject := databaseSubject(d) + ", parameter group " + d.ParameterGroup
		if !on(d.Parameters["require_secure_transport"]) {
			against = append(against, model.Evidence{Subject: subject, Have: "require_secure_transport = " + cmp.Or(d.Parameters["require_secure_transport"], "0"), Want: "1"})
		}
		if versions := d.Parameters["tls_version"]; speaksOldTLS(versions) {
			against = append(against, model.Evidence{Subject: subject, Have: "tls_version = " + versions, Want: wantedVersions})
		}
		if !d.InSync {
			against = append(against, model.Evidence{Subject: subject, Have: "not in force", Want: "in force, after a restart of the database"})
		}
		return against, nil
	},
	shows: func(_ *View, d facts.CloudDatabase) []model.Evidence {
		return ofDatabase(d, "require_secure_transport = "+d.Parameters["require_secure_transport"]+", in force")
	},
	puts: func(v *View, d facts.CloudDatabase) (all []Change) {
		group := d.ParameterGroup
		weak := !on(d.Parameters["require_secure_transport"]) || speaksOldTLS(d.Parameters["tls_version"])
		if family, usual := strings.CutPrefix(group, "default."); usual && weak {
			group = d.ID + "-tls"
			all = append(all, Change{
				Sentence: "make a parameter group of its own, for those of AWS cannot be changed",
				Command:  v.commandLine("rds", "create-db-parameter-group", "--db-parameter-group-name", group, "--db-parameter-group-family", family, "--description", "TLS only"),
			})
		}
		if weak && group != "" {
			all = append(all, Change{
				Sentence: "refuse connections without TLS (Matomo must speak it already: DB-07)",
				Command: v.commandLine("rds", "modify-db-parameter-group", "--db-parameter-group-name", group, "--parameters",
					"ParameterName=require_secure_transport,ParameterValue=1,ApplyMethod=immediate",
					`ParameterName=tls_version,ParameterValue="`+wantedVersions+`",ApplyMethod=pending-reboot`),
			})
		}
		if group != d.ParameterGroup {
			all = append(all, modified(v, d, "give it to "+databaseSubject(d), "--db-parameter-group-name", group))
		}
		return append(all, Change{
			Sentence: "restart " + databaseSubject(d) + ", a minute without it, so that all of it is in force",
			Command:  v.commandLine("rds", "reboot-db-instance", "--db-instance-identifier", d.ID),
		})
	},
}

const wantedVersions = "TLSv1.2,TLSv1.3"

// speaksOldTLS tells whether tls_version allows what is older than TLS 1.2.
// Without a value, MySQL and MariaDB take what they still support.
func speaksOldTLS(versions string) bool {
	for version := range strings.SplitSeq(versions, ",") {
		if version = strings.TrimSpace(version); version != "" && outdated(version) {
			return true
		}
	}
	return false
}

var aws010 = Control{
	ID:       "AWS-10",
	Title:    "the database refuses connections without TLS, and this is in force",
	Why:      "Matomo falls back to a connection in the clear without a word. Who is in the network then reads every visit and the hashes of all passwords; only the database can insist.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudDatabases},
	Eval:     databasesWantTLS.verdict,
	Fix:      guidedBy("require_secure_transport = 1 and tls_version = "+wantedVersions+" in a parameter group of the database, then a restart. First let Matomo connect by TLS and check the certificate (DB-07), or it loses the database.", databasesWantTLS.changes),
	Maps:     []model.Ref{fsbp("RDS.39"), s1("4"), s1("27")},
	Since:    "0.6",
}
