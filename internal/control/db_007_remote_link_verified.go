package control

import (
	"maps"
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// verifiedLink is what makes Matomo speak TLS and check the certificate: with
// enable_ssl alone it connects in the clear and says nothing.
var verifiedLink = demands{
	where: func(v *View) []facts.Context {
		return slices.DeleteFunc(slices.Clone(v.Matomo.Contexts), func(c facts.Context) bool { return remoteHost(c) == "" })
	},
	all: []demand{
		{key: "database.enable_ssl", usual: "0", want: "1"},
		{key: "database.ssl_ca", usual: "", want: "the file with the CA of the server", holds: func(value string) bool { return value != "" }},
		{key: "database.ssl_no_verify", usual: "", want: "0"},
	},
}

var db007 = Control{
	ID:       "DB-07",
	Title:    "the way to a database server on another machine is encrypted, its certificate is checked, and it insists on both",
	Why:      "All visits and the password hashes of all users pass there. Who is on the way reads them, or answers in the server's place; with enable_ssl alone Matomo even connects in the clear.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Data, facts.App},
	Eval: func(v *View) Verdict {
		if len(v.Matomo.Contexts) > 0 && !remoteDatabase(v) {
			return notApplicable("the database is on this machine")
		}
		found, unread := verifiedLink.against(v)
		accounts, unasked := matomoAccounts(v)
		for _, name := range slices.Sorted(maps.Keys(accounts)) {
			if !v.Database.Accounts[name].TLS && !variableOn(v, "require_secure_transport") {
				found = append(found, model.Evidence{Subject: name, Have: "may log in without TLS", Want: "ALTER USER ... REQUIRE SSL, or require_secure_transport = ON"})
			}
		}
		return conclude(found, append(unread, unasked...))
	},
	Fix: Fix{
		Kind: model.FixAutomatic, Steps: slices.Concat([]string{"database account *"}, configurationSteps),
		Text: "In [database] of config.ini.php: enable_ssl = 1, ssl_ca = the file with the server's CA, ssl_no_verify = 0; ALTER USER ... REQUIRE SSL on the server, or require_secure_transport = ON.",
	},
	Attack: "A19",
	Maps:   []model.Ref{s1("4"), s1("27"), asvs("12.3.1-12.3.4")},
	Since:  "0.3",
}
