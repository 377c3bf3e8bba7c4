package control

import (
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// mostTries is how many logins may fail before an address is shut out.
const mostTries = 10

var ssh004 = Control{
	ID:       "SSH-04",
	Title:    "who fails to log in by SSH again and again is shut out",
	Why:      "Without a ban the guessing goes on day and night, for years, and fills the log in which a real break-in would be seen.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Remote},
	Eval: func(v *View) Verdict {
		if !v.SSH.Installed {
			return notApplicable(noSSH)
		}
		found := []model.Evidence{{Subject: "sshd", Have: "failed logins have no consequence", Want: "a ban within " + strconv.Itoa(mostTries) + " tries"}}
		for _, ban := range v.Bans {
			if !strings.Contains(ban.Jail, "ssh") {
				continue
			}
			subject := ban.Program + " " + ban.Jail
			switch {
			case !ban.Active:
				found = []model.Evidence{{Subject: subject, Have: "not active", Want: "active"}}
			case ban.Tries > mostTries:
				found = []model.Evidence{{Subject: subject, Have: strconv.Itoa(ban.Tries) + " tries", Want: strconv.Itoa(mostTries) + " at most"}}
			default:
				return pass()
			}
		}
		return fail(found...)
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "apt-get install fail2ban, whose jail sshd is on in Debian; from OpenSSH 9.8 on sshd does it itself (PerSourcePenalties)",
		Changes: func(*View) []Change {
			return []Change{{
				Sentence: "shut out addresses that fail to log in by SSH",
				Command:  `apt-get install fail2ban && printf '[sshd]\nenabled = true\nbackend = systemd\nmaxretry = 5\nbantime = 1h\n' >/etc/fail2ban/jail.d/sshd.local && systemctl restart fail2ban`,
			}}
		}},
	Attack: "A35",
	Maps:   []model.Ref{debian("5.3.3.1.1"), s1("42")},
	Since:  "0.3",
}
