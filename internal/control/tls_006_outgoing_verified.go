package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// outgoing are the settings by which Matomo checks whom it speaks to. Where
// they are not set, Matomo's default is the safe one, but for the first.
var outgoing = demands{
	where: serving,
	all: []demand{
		{key: "General.allowed_outgoing_protocols", usual: "http,https", want: "https", holds: func(value string) bool {
			return !slices.Contains(strings.FieldsFunc(strings.ToLower(value), func(r rune) bool { return r == ',' || r == ' ' }), "http")
		}},
		{key: "mail.ssl_verify_peer", usual: "1", want: "1"},
		{key: "mail.ssl_verify_peer_name", usual: "1", want: "1"},
		{key: "mail.ssl_disallow_self_signed", usual: "1", want: "1"},
		{key: "database.ssl_no_verify", usual: "", want: "0"},
	},
}

var tls006 = Control{
	ID:       "TLS-06",
	Title:    "Matomo checks the certificate of every server that it speaks to",
	Why:      "TLS without a check encrypts to whoever answers: an attacker on the way gives Matomo forged updates, or reads the mails that reset passwords and all that goes to the database.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.App},
	Eval: func(v *View) Verdict {
		found, unread := outgoing.against(v)
		for _, c := range serving(v) {
			if reader := c.Setting("database_reader.host"); reader != "" && !ownMachine(reader) && c.On("database_reader.ssl_no_verify") {
				found = append(found, wanting(settingEvidence(c, "database_reader.ssl_no_verify", "1"), "ssl_no_verify = 0"))
			}
			if strings.EqualFold(c.Setting("mail.encryption"), "none") && c.Setting("mail.host") != "" && !ownMachine(c.Setting("mail.host")) {
				found = append(found, wanting(settingEvidence(c, "mail.encryption", ""), "tls or ssl"))
			}
		}
		return conclude(found, unread)
	},
	Fix: Fix{
		Kind: model.FixAutomatic, Steps: configurationSteps, Changes: outgoing.changes,
		Text: "In config.ini.php: [General] allowed_outgoing_protocols = https; leave ssl_verify_peer, ssl_verify_peer_name and ssl_disallow_self_signed of [mail] at 1 and ssl_no_verify of [database] at 0.",
	},
	Attack: "A19",
	Maps:   []model.Ref{asvs("12.3.2")},
	Since:  "0.3",
}

// ownMachine tells whether a host is this machine.
func ownMachine(host string) bool {
	host = strings.ToLower(strings.Trim(host, "[]"))
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}

// remoteHost is the database server that a context uses on another machine, as
// Matomo's configuration has it; empty when it is on this one.
func remoteHost(c facts.Context) string {
	host := c.Setting("database.host")
	if host == "" || strings.HasPrefix(host, "/") || ownMachine(host) || c.Setting("database.unix_socket") != "" {
		return ""
	}
	return host
}
