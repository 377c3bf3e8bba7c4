// Package respond is the response to an incident on one's own server: what is
// recorded, cut off, revoked and kept, in which order and why. The case and its
// journal are those of package incident.
package respond

import (
	"context"
	"net/netip"
	"time"

	"rocca/internal/incident"
	"rocca/internal/mariadb"
	"rocca/internal/secret"
	"rocca/internal/triage"
)

// Dir is where cases are kept, root only.
const Dir = "/var/lib/rocca/incidents"

// Server is the server that is responded on.
type Server struct {
	Operator []netip.Prefix // who may still reach it; none: nobody, which was accepted
	Hours    int            // after which the block goes by itself unless it is confirmed; 0: never
	Triage   triage.Options // Put and Hide are set here
	Secrets  []secret.Secret

	Database mariadb.Conn     // as its administrator
	Schema   string           // of Matomo
	Prefix   string           // of its tables
	CAFile   string           // PEM, of a remote database server
	Reach    []netip.AddrPort // of a remote database server, that must still be reached

	Files []string // that the snapshot holds, with all below; what is not there is left out
	Code  string   // of these, the directory of Matomo's code, which is copied as it is: it is compared with the release
	Leave []string // of these, left out: they are secrets as a whole
	Limit int64    // bytes of files in the snapshot; 0: 8 GiB

	// Rotate gives new passwords and a new salt. Nil: it is left for a person.
	Rotate func(ctx context.Context, c *incident.Case) error

	Now func() time.Time // nil: time.Now
}

func (s *Server) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// IDs of the steps. Journals name them: they stay.
const (
	Record   = "record"
	Protect  = "protect"
	CutOff   = "cut-off"
	Snapshot = "snapshot"
	Sessions = "sessions"
	Rotate   = "rotate"
	Verify   = "verify"
	Report   = "report"
)

// Steps are the response, in order. Without a server they tell their texts only.
func Steps(s *Server) []incident.Step {
	if s == nil {
		s = &Server{}
	}
	return []incident.Step{
		{
			ID: Record, Phase: incident.Assess, Title: "Record what is volatile",
			Why:    "Processes, connections and sessions are gone after the next step or a reboot, and they tell who is in and how. So it comes first, before anything is changed; it takes seconds.",
			Rocca:  []string{"rocca host triage", "SHOW FULL PROCESSLIST; accounts and grants of the database", "log-ins, API tokens and number of sessions of Matomo, without their values", "nft list ruleset"},
			Person: []string{"Read triage.json: suspects, new_php, changed, keys, starters, sockets. Write down since when it began."},
			Limit:  5 * time.Minute,
			Plan:   s.planRecord, Do: s.record,
		},
		{
			ID: Protect, Phase: incident.Contain, Title: "Keep what would be tidied away",
			Why:   "Log rotation, cleaning of temporary files, upgrades and Matomo's own deletion of old visits go on at night and destroy traces. They are stopped, not removed.",
			Rocca: []string{"systemctl stop logrotate.timer systemd-tmpfiles-clean.timer apt-daily-upgrade.timer rocca-tasks.timer ...", "journalctl --sync"},
			Undo:  "rocca respond release starts what ran before",
			Plan:  s.planProtect, Do: s.protect,
		},
		{
			ID: CutOff, Phase: incident.Isolate, Title: "Cut off the network",
			Why:    "Nobody gets in or out but you, also over connections that are open: data stops flowing out, and new passwords stay here. It comes before passwords are changed, else the intruder reads the new ones. Matomo is down from here on, for visitors too.",
			Rocca:  []string{"nft -f CASE/state/block.nft (table inet rocca_incident: loopback and the operator's address only)", "systemctl enable rocca-incident.service (it holds over a reboot)", "systemctl start rocca-incident-lift.timer (takes it back after --hours, so that a mistake cannot lock you out for ever)"},
			Person: []string{"Open a second SSH session now. When it works: rocca respond confirm, which stops the timer.", "Tell who waits for Matomo that it is down, without saying why."},
			Undo:   "rocca respond release; from the console: systemctl disable --now rocca-incident.service",
			Plan:   s.planCutOff, Do: s.cutOff,
		},
		{
			ID: Snapshot, Phase: incident.Contain, Title: "Copy files and database",
			Why:    "Before sessions and passwords are touched: the copy must show them as the intruder left them. It comes after the cut, because it takes minutes. Secrets in it are masked, private keys left out; their hashes are noted.",
			Rocca:  []string{"tar of configuration, Matomo's code and state, logs, cron and units", "journalctl --all", "mariadb-dump --single-transaction SCHEMA"},
			Person: []string{"Copy the case directory to where this server cannot reach it.", "If the provider can take a snapshot of the whole disk, take one now."},
			Limit:  2 * time.Hour,
			Plan:   s.planSnapshot, Do: s.snapshot,
		},
		{
			ID: Sessions, Phase: incident.Contain, Title: "End Matomo's sessions and tokens",
			Why:    "A stolen cookie or API token is as good as a password and outlives its change. All users must log in again, and scripts need new tokens.",
			Rocca:  []string{"DELETE FROM matomo_session", "DELETE FROM matomo_user_token_auth", "remove tmp/sessions/sess_* of Matomo"},
			Person: []string{"Give new API tokens to what uses them: Administration, Personal, Security.", "Look at the log-ins in record/matomo.json: delete those nobody knows, and take super user access from who needs none."},
			Plan:   s.planSessions, Do: s.endSessions,
		},
		{
			ID: Rotate, Phase: incident.Eradicate, Title: "Give new passwords and a new salt",
			Why:    "Whoever read config.ini.php has the database passwords and the salt that tokens are hashed with. It is held back while the server is not cut off: else the new ones leak as well.",
			Rocca:  []string{"rocca rotate db", "rocca rotate salt"},
			Person: []string{"Change the passwords of Matomo's users, of the SMTP account, and of every person and service with an account on this server.", "Replace the TLS key and SSH host keys if anybody was root."},
			After:  []string{CutOff},
			Plan:   s.planRotate, Do: s.rotate,
		},
		{
			ID: Verify, Phase: incident.Contain, Title: "See that it is cut off",
			Why:   "A rule that was loaded is not yet a server that is cut off: others may have changed the rules since. This is looked at each time.",
			Rocca: []string{"nft list table inet rocca_incident", "connections to addresses other than the operator's"},
			After: []string{CutOff}, Again: true,
			Plan: s.planVerify, Do: s.verify,
		},
		{
			ID: Report, Phase: incident.Document, Title: "Write the report",
			Why:    "It holds the timeline with hashes, what was not taken, what is left to do, and how much of the 72 hours is left to tell the authority.",
			Rocca:  []string{"CASE/report.md and CASE/report.html"},
			Person: []string{"Fill in what Art. 33(3) asks for: rocca respond status --fact subjects=... --fact consequences=...", "Decide with the data protection officer whether the authority and the people must be told.", "Write down the head of the chain outside this server."},
			Again:  true,
			Plan: func(context.Context) ([]string, error) {
				return []string{"write report.md and report.html into the case directory"}, nil
			},
			Do: func(_ context.Context, c *incident.Case) error { return c.Write() },
		},
	}
}

// Release is the way back.
func Release(s *Server) []incident.Step {
	if s == nil {
		s = &Server{}
	}
	return []incident.Step{
		{
			ID: "release-network", Phase: incident.Recover, Title: "Open the network again",
			Why:    "Only when the hole is closed, or the server was built anew: what was cut off is reachable for everybody from here on. The rules of before were never touched; the block stood beside them.",
			Rocca:  []string{"systemctl disable --now rocca-incident-lift.timer rocca-incident.service", "rm /etc/systemd/system/rocca-incident*"},
			Person: []string{"Before: rocca audit and rocca prove without findings, on a server that was built anew when anybody was root.", "After: watch the log-ins and outgoing connections closely for two weeks."},
			Plan: func(context.Context) ([]string, error) {
				return []string{"delete the table inet rocca_incident", "remove the units rocca-incident*"}, nil
			},
			Do: s.openNetwork,
		},
		{
			ID: "release-units", Phase: incident.Recover, Title: "Start what was stopped",
			Why:   "Log rotation, upgrades and Matomo's tasks are needed again.",
			Rocca: []string{"systemctl start UNIT for each that ran before"},
			Plan: func(context.Context) ([]string, error) {
				return []string{"start the timers that were stopped"}, nil
			},
			Do: s.startUnits,
		},
		{
			ID: "release-report", Phase: incident.Recover, Title: "Write the report once more",
			Why:   "It tells that the case is over, and when.",
			Rocca: []string{"CASE/report.md and CASE/report.html"}, Again: true,
			After:  []string{"release-network"},
			Person: []string{"Hold a review: what made it possible, what helped, what is changed. Keep the case as long as the law asks, then delete it: it holds personal data."},
			Plan: func(context.Context) ([]string, error) {
				return []string{"write report.md and report.html"}, nil
			},
			Do: func(_ context.Context, c *incident.Case) error {
				if c.Story().Released.IsZero() {
					if err := c.Release(); err != nil {
						return err
					}
				}
				return c.Write()
			},
		},
	}
}

// Rehearse does what can be done without harm on a server in use, and tries
// the rest without effect: nothing is cut off, stopped or revoked.
func Rehearse(s *Server) []incident.Step {
	steps := Steps(s)
	kept := steps[:0:0]
	for _, step := range steps {
		switch step.ID {
		case Record, Report:
		case CutOff:
			step.Do = s.tryCutOff
		case Snapshot:
			step.Do = s.trySnapshot
		default:
			step.Do = rehearsed(step)
		}
		step.After = nil
		kept = append(kept, step)
	}
	return kept
}

// rehearsed notes what a step would do.
func rehearsed(step incident.Step) func(context.Context, *incident.Case) error {
	return func(ctx context.Context, c *incident.Case) error {
		would, err := step.Plan(ctx)
		if err != nil {
			return err
		}
		for _, line := range would {
			if err := c.Note("would " + line); err != nil {
				return err
			}
		}
		return incident.Skip("only rehearsed")
	}
}
