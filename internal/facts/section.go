package facts

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

// AllSections lists every section, in the order they are told.
func AllSections() []Section {
	return []Section{Accounts, Software, KernelOf, Files, Running, Network, Filter, Services, Scheduled, Remote,
		Runtime, Web, Requests, Logging, Data, App, Code, Extend, Content, Known, Own}
}

// Unseen tells why a section was not seen; "" when it was.
func (s Server) Unseen(section Section) string {
	why, asked := s.Sections[section]
	if !asked {
		return "it was not looked at"
	}
	return why
}
