package control

import (
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// weakAlgorithms are parts of the names of what is broken or too short, by
// setting of sshd.
var weakAlgorithms = map[string][]string{
	"ciphers":           {"-cbc", "arcfour", "3des", "blowfish", "cast128"},
	"macs":              {"md5", "hmac-sha1", "umac-64", "ripemd", "-96"},
	"kexalgorithms":     {"sha1", "group1-"},
	"hostkeyalgorithms": {"ssh-rsa", "ssh-dss"},
}

// sshLimits are the largest numbers allowed, and what rocca sets; 0 is no limit.
var sshLimits = map[string]int{"maxauthtries": 4, "maxsessions": 10, "logingracetime": 60}

var ssh003 = Control{
	ID:       "SSH-03",
	Title:    "SSH offers algorithms of today only, and ends tries that lead nowhere soon",
	Why:      "Whoever sits between can talk both sides into the weakest algorithm that they share. Without limits a few machines that never finish their login keep the administrator out.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Remote},
	Eval: ofSSH(func(v *View) Verdict {
		var found []model.Evidence
		for name, weak := range weakAlgorithms {
			for algorithm := range strings.SplitSeq(sshValue(v.SSH, name), ",") {
				if slices.ContainsFunc(weak, func(part string) bool { return weakBy(algorithm, part) }) {
					found = append(found, model.Evidence{Subject: "sshd " + name, Have: algorithm, Want: "not offered"})
				}
			}
		}
		for name, most := range sshLimits {
			if number, err := strconv.Atoi(sshValue(v.SSH, name)); err != nil || number > most || number == 0 {
				found = append(found, model.Evidence{Subject: "sshd " + name, Have: sshValue(v.SSH, name), Want: strconv.Itoa(most) + " at most"})
			}
		}
		if startups := sshValue(v.SSH, "maxstartups"); !fewStartups(startups) {
			found = append(found, model.Evidence{Subject: "sshd maxstartups", Have: startups, Want: "10:30:60"})
		}
		if level := sshValue(v.SSH, "loglevel"); level != "info" && level != "verbose" {
			found = append(found, model.Evidence{Subject: "sshd loglevel", Have: level, Want: "INFO or VERBOSE"})
		}
		return conclude(found, nil)
	}),
	Fix: Fix{Kind: model.FixAutomatic, Text: "take the weak ones away with a minus sign in /etc/ssh/sshd_config.d (MACs -hmac-sha1*,...), set MaxAuthTries 4, LoginGraceTime 60, MaxStartups 10:30:60, and reload", Steps: sshDropIn,
		Changes: func(*View) []Change {
			return []Change{{
				Sentence: "let SSH use algorithms of today only, with limits",
				Command:  `printf 'Ciphers -*-cbc\nMACs -hmac-sha1*,hmac-md5*,umac-64*,*-96*\nKexAlgorithms -*sha1\nHostKeyAlgorithms -ssh-rsa*,ssh-dss*\nMaxAuthTries 4\nMaxSessions 10\nLoginGraceTime 60\nMaxStartups 10:30:60\nLogLevel VERBOSE\n' >/etc/ssh/sshd_config.d/20-hardening.conf && sshd -t && systemctl reload ssh`,
			}}
		}},
	Maps:  []model.Ref{debian("5.1.6"), debian("5.1.12"), debian("5.1.13"), debian("5.1.14"), debian("5.1.15"), debian("5.1.16"), debian("5.1.17"), debian("5.1.18")},
	Since: "0.3",
}

// weakBy tells whether an algorithm is weak by a part of its name. The names of
// key types are whole: "ssh-rsa" is SHA-1, "rsa-sha2-512" with the same key is not.
func weakBy(algorithm, part string) bool {
	if strings.HasPrefix(part, "ssh-") {
		return algorithm == part || strings.HasPrefix(algorithm, part+"-cert-")
	}
	return strings.Contains(algorithm, part)
}

// fewStartups tells whether at most 10:30:60 logins may be under way.
func fewStartups(value string) bool {
	parts := strings.Split(value, ":")
	start, err := strconv.Atoi(parts[0])
	if err != nil || start == 0 || start > 10 {
		return false
	}
	if len(parts) != 3 {
		return true
	}
	full, err := strconv.Atoi(parts[2])
	return err == nil && full <= 60
}
