package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// noSSH is the reason of controls about an SSH server that is not there.
const noSSH = "no SSH server is installed"

// sshDropIn is where rocca sets sshd_config(5).
var sshDropIn = []string{"file /etc/ssh/sshd_config.d/90-rocca.conf", "unit ssh.service"}

var ssh001 = Control{
	ID:       "SSH-01",
	Title:    "SSH lets nobody in with a password, and never as root",
	Why:      "Passwords are tried by the million on every address of the internet, and root is the name that all of them try. A key cannot be guessed; an own name for each person tells afterwards who it was.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Remote},
	Eval: ofSSH(func(v *View) Verdict {
		var found []model.Evidence
		for _, name := range []string{"permitrootlogin", "passwordauthentication", "kbdinteractiveauthentication", "permitemptypasswords"} {
			if value := sshValue(v.SSH, name); value != "no" {
				found = append(found, model.Evidence{Subject: "sshd " + name, Have: value, Want: "no"})
			}
		}
		return unless(found)
	}),
	Fix: Fix{Kind: model.FixAutomatic, Text: "with a key in place for an account that may use sudo, set PermitRootLogin, PasswordAuthentication, KbdInteractiveAuthentication and PermitEmptyPasswords to no in /etc/ssh/sshd_config.d, and reload; keep a session open until a new one works", Steps: sshDropIn,
		Changes: func(*View) []Change {
			return []Change{{
				Sentence: "let people in by SSH with keys only, and nobody as root (first see that a key of an account with sudo works)",
				Command:  `printf 'PermitRootLogin no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitEmptyPasswords no\n' >/etc/ssh/sshd_config.d/10-hardening.conf && sshd -t && systemctl reload ssh`,
			}}
		}},
	Attack: "A35",
	Maps:   []model.Ref{debian("5.1.19"), debian("5.1.20"), s1("12")},
	Since:  "0.3",
}

// ofSSH judges the settings of sshd, where it is installed and told them.
func ofSSH(judge func(*View) Verdict) func(*View) Verdict {
	return func(v *View) Verdict {
		switch {
		case !v.SSH.Installed:
			return notApplicable(noSSH)
		case len(v.SSH.Settings) == 0:
			return unknown("sshd -T did not show the configuration in effect")
		}
		return judge(v)
	}
}

// sshValue is a setting of sshd in lower case; values of several lines are
// joined with commas.
func sshValue(s facts.SSH, name string) string {
	return strings.ToLower(strings.Join(s.Settings[name], ","))
}
