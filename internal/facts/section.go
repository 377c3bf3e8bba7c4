package facts

import (
	"fmt"
	"slices"
	"strings"
)

// Section is a part of the facts that is observed on its own, and can fail on
// its own.
type Section string

// The sections, with the fields of Server that they fill.
const (
	Accounts  Section = "accounts"  // Users, Groups, Sudo
	Software  Section = "software"  // OS, Packages, Apt
	KernelOf  Section = "kernel"    // Kernel, Mounts, Memory
	Files     Section = "files"     // Paths, Trees, Oddities
	Running   Section = "processes" // Processes, Containers
	Network   Section = "network"   // Listeners, Sockets
	Filter    Section = "firewall"  // Firewall
	Services  Section = "units"     // Units
	Scheduled Section = "jobs"      // Jobs
	Remote    Section = "ssh"       // SSH, Bans
	Runtime   Section = "php"       // PHP
	Web       Section = "front"     // Front, Certificates
	Requests  Section = "answers"   // Answers, Handshakes
	Logging   Section = "logs"      // Logs
	Data      Section = "database"  // Database, Redis
	App       Section = "matomo"    // Matomo
	Code      Section = "integrity" // Integrity
	Extend    Section = "plugins"   // Plugins
	Content   Section = "rows"      // Rows
	Known     Section = "advisory"  // Advisory
	Own       Section = "rocca"     // Rocca, Declared
)

// Unseen tells why a section was not seen; "" when it was.
func (s Server) Unseen(section Section) string {
	why, asked := s.Sections[section]
	if !asked {
		return "it was not looked at"
	}
	return why
}

// Why tells of an error as a section does: on one line, what it says twice left
// out, and hints at the end. It is "" when there is none.
func Why(err error) string {
	if err == nil {
		return ""
	}
	const most = 3 // of those that come together
	var said, hints []string
	for line := range strings.Lines(err.Error()) {
		into := &said
		line, isHint := strings.CutPrefix(strings.TrimSpace(line), "hint: ")
		if isHint {
			into = &hints
		}
		if line != "" && !slices.Contains(*into, line) {
			*into = append(*into, line)
		}
	}
	if more := len(said) - most; more > 0 {
		said = append(said[:most], fmt.Sprintf("and %d more", more))
	}
	text := strings.Join(said, "; ")
	if len(hints) > 0 {
		text += " (" + strings.Join(hints, "; ") + ")"
	}
	return text
}
