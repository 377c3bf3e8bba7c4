package blueprint

import (
	"context"
	_ "embed"
	"fmt"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"

	"rocca/internal/change"
	"rocca/internal/change/step"
	"rocca/internal/facts"
)

//go:embed platform/firewall.tmpl
var firewallTemplate string

//go:embed platform/firewall.service.tmpl
var firewallService string

//go:embed platform/kernel.conf
var kernelSettings string

//go:embed platform/kernel.service
var kernelService string

//go:embed platform/mounts.service
var mountsService string

//go:embed platform/apt-mounts.conf
var aptMounts string

//go:embed platform/upgrades.conf
var upgradesSettings string

//go:embed platform/sshd.tmpl
var sshdTemplate string

//go:embed platform/audit.service
var auditService string

//go:embed platform/audit.timer
var auditTimer string

// Program is rocca itself.
type Program struct {
	Path   string // of the executable that runs
	SHA256 string // lower-case hex
}

// TimerProgram is where rocca keeps itself for its timer.
const TimerProgram = lib + "/rocca"

// platform is what rocca changes of Debian itself, each part switched by
// hardening: in the configuration. What has an effect at once is a unit, so
// that stopping it takes the effect back.
func (b *blueprint) platform() []change.Step {
	h := b.Config.Hardening
	var steps []change.Step
	if h.Kernel {
		settings := "/etc/sysctl.d/90-rocca.conf"
		steps = append(steps, step.File{Path: settings, Content: []byte(kernelSettings), Attr: change.Root(0o644)})
		steps = append(steps, b.effect("rocca-kernel.service", kernelService, settings)...)
	}
	if h.Mounts {
		steps = append(steps,
			step.Dir{Path: path.Join(stateOwn, "apt"), Attr: change.Root(0o700), Content: change.Cache},
			step.File{Path: "/etc/apt/apt.conf.d/52rocca-mounts", Content: []byte(aptMounts), Attr: change.Root(0o644)})
		steps = append(steps, b.effect("rocca-mounts.service", mountsService)...)
	}
	if h.Upgrades {
		steps = append(steps,
			step.File{Path: "/etc/apt/apt.conf.d/52rocca-upgrades", Content: []byte(upgradesSettings), Attr: change.Root(0o644)},
			step.Unit{Unit: "apt-daily.timer", State: step.Running},
			step.Unit{Unit: "apt-daily-upgrade.timer", State: step.Running})
	}
	if h.SSH && b.SSH.Installed {
		settings := "/etc/ssh/sshd_config.d/90-rocca.conf"
		steps = append(steps,
			step.File{Path: settings, Content: b.render(sshdTemplate, nil), Attr: change.Root(0o644)},
			step.Unit{Unit: "ssh.service", State: step.Running, Inputs: []string{settings}, Refresh: "reload", Check: []string{"/usr/sbin/sshd", "-t"}})
	}
	if h.AuditTimer {
		service, timer := path.Join(unitDir, "rocca-audit.service"), path.Join(unitDir, "rocca-audit.timer")
		steps = append(steps,
			program{b.Program},
			step.File{Path: ProgramRecord, Content: []byte(b.Program.SHA256 + "\n"), Attr: change.Root(0o600)},
			step.File{Path: service, Content: []byte(auditService), Attr: change.Root(0o644)},
			step.File{Path: timer, Content: []byte(auditTimer), Attr: change.Root(0o644)},
			step.Unit{Unit: "rocca-audit.timer", State: step.Running, Own: true, Inputs: []string{timer, service}, Refresh: "restart"})
	}
	return steps
}

// firewall is the last step but the front: until then nothing listens that it
// would have to keep in.
func (b *blueprint) firewall() []change.Step {
	if !b.Config.Hardening.Firewall {
		return nil
	}
	rules := path.Join(etc, "firewall.nft")
	return append([]change.Step{step.File{Path: rules, Content: b.render(firewallTemplate, nil), Attr: change.Root(0o644)}},
		b.effect("rocca-firewall.service", firewallService, rules)...)
}

// effect is a unit of rocca that makes something so while it is active.
func (b *blueprint) effect(unit, content string, inputs ...string) []change.Step {
	file := path.Join(unitDir, unit)
	return []change.Step{
		step.File{Path: file, Content: []byte(content), Attr: change.Root(0o644)},
		step.Unit{Unit: unit, State: step.Running, Own: true, Inputs: append([]string{file}, inputs...), Refresh: "restart"},
	}
}

// platformPackages are what platform and firewall need.
func (b *blueprint) platformPackages() []string {
	var packages []string
	if b.Config.Hardening.Firewall {
		packages = append(packages, "nftables")
	}
	if b.Config.Hardening.Kernel {
		packages = append(packages, "procps")
	}
	if b.Config.Hardening.Upgrades {
		packages = append(packages, "unattended-upgrades")
	}
	return packages
}

// SSH is the SSH server as it was found.
type SSH struct {
	Installed bool
	Ports     []int // that it listens on
}

// sshRules let in who may reach SSH.
func (b *blueprint) sshRules() []string {
	if !b.SSH.Installed {
		return nil
	}
	ports := set(b.SSH.Ports)
	if len(b.SSH.Ports) == 0 {
		ports = "22"
	}
	if len(b.Config.SSHNetworks) == 0 {
		return []string{"tcp dport " + ports}
	}
	return byFamily(b.Config.SSHNetworks, "saddr", "tcp dport "+ports)
}

// openPorts let in what its owner declared.
func (b *blueprint) openPorts() []string {
	var rules []string
	for _, port := range b.Config.Ports {
		protocol, number, _ := strings.Cut(port, "/")
		rules = append(rules, protocol+" dport "+number)
	}
	return rules
}

// outboundRules say what Matomo's users may connect to: the database server
// and declared addresses. A declared name has addresses that change, so that
// with one of these all of the Internet stays open.
func (b *blueprint) outboundRules() []string {
	var networks []netip.Prefix
	for _, host := range b.Config.Outbound {
		address, err := netip.ParseAddr(host)
		if err != nil {
			return nil
		}
		networks = append(networks, netip.PrefixFrom(address, address.BitLen()))
	}
	var rules []string
	for _, rule := range byFamily(append(networks, b.Remote.Networks...), "daddr", "") {
		rules = append(rules, strings.TrimSpace(rule)+" accept")
	}
	if b.Config.Database.Remote() && len(b.Remote.Networks) == 0 {
		return nil // where it is was not found out
	}
	return append(rules, "reject")
}

// byFamily writes a rule for the networks of each family.
func byFamily(networks []netip.Prefix, direction, rest string) []string {
	families := map[string][]string{}
	for _, n := range networks {
		family := "ip6"
		if n.Addr().Is4() {
			family = "ip"
		}
		families[family] = append(families[family], n.String())
	}
	var rules []string
	for _, family := range []string{"ip", "ip6"} {
		if len(families[family]) > 0 {
			rules = append(rules, fmt.Sprintf("%s %s { %s } %s", family, direction, strings.Join(families[family], ", "), rest))
		}
	}
	return rules
}

func set(ports []int) string {
	if len(ports) == 1 {
		return fmt.Sprint(ports[0])
	}
	words := make([]string, len(ports))
	for i, port := range ports {
		words[i] = fmt.Sprint(port)
	}
	return "{ " + strings.Join(words, ", ") + " }"
}

// matomoUsers run Matomo; phpUsers the further applications too.
func matomoUsers() []string { return []string{UIUser, TrackerUser, AdminUser} }

func (b *blueprint) phpUsers() []string {
	users := matomoUsers()
	for _, app := range b.Config.Apps {
		users = append(users, app.Name)
	}
	return users
}

// closes lists the listeners that the firewall would cut off from the outside
// and nobody declared, each door of a program once.
func closes(in Input, s facts.Server) []facts.Listener {
	if !in.Config.Hardening.Firewall {
		return nil
	}
	open := []string{"tcp/80", "tcp/443"}
	for _, port := range in.SSH.Ports {
		open = append(open, fmt.Sprintf("tcp/%d", port))
	}
	open = append(open, in.Config.Ports...)
	var closed []facts.Listener
	for _, l := range s.Listeners {
		address, err := netip.ParseAddr(l.Address)
		if err != nil || address.IsLoopback() || !strings.HasPrefix(l.Door(), "tcp/") || slices.Contains(open, l.Door()) {
			continue
		}
		known := func(other facts.Listener) bool { return other.Door() == l.Door() && other.Program == l.Program }
		if !slices.ContainsFunc(closed, known) {
			closed = append(closed, l)
		}
	}
	return closed
}

// closed is the problem of listeners that the firewall would cut off.
func closed(listeners []facts.Listener) error {
	var told, doors []string
	for _, l := range listeners {
		told = append(told, fmt.Sprintf("%s (%s)", l.Door(), l.Program))
		doors = append(doors, l.Door())
	}
	return fmt.Errorf("others reach %s on this server, and the packet filter of rocca would close that\nhint: ports: [%s] in the configuration keeps it open; hardening: {firewall: false} leaves the packet filter to you",
		strings.Join(told, ", "), strings.Join(doors, ", "))
}

// program is the copy of rocca that its timer starts.
type program struct{ Program }

func (p program) Name() string { return "program " + TimerProgram }

func (p program) Looks() facts.Query { return facts.Query{Paths: []string{TimerProgram}} }

func (p program) Plan(s facts.Server) (change.Proposal, error) {
	now := s.Paths[TimerProgram]
	switch {
	case !now.Exists():
		return change.Proposal{Sentence: "copy this rocca there, for its timer"}, nil
	case now.Type != facts.File || now.SHA256 != p.SHA256:
		return change.Proposal{Sentence: "replace it by this rocca"}, nil
	case now.Owner != "root" || now.Group != "root" || now.Mode != 0o755:
		return change.Proposal{Sentence: "make it root's, 0755"}, nil
	}
	return change.Proposal{}, nil
}

func (p program) Apply(_ context.Context, w *change.Writer, _ facts.Server) error {
	content, err := os.ReadFile(p.Path)
	if err != nil {
		return fmt.Errorf("read this program: %w", err)
	}
	return w.WriteFile(TimerProgram, content, change.Root(0o755))
}

// Files are the contents of all plain files that the steps write, by path.
func Files(in Input) (map[string][]byte, error) {
	steps, _, err := Steps(in)
	if err != nil {
		return nil, err
	}
	contents := map[string][]byte{}
	for _, s := range steps {
		if file, plain := s.(step.File); plain {
			contents[file.Path] = file.Content
		}
	}
	return contents, nil
}

// Where rocca keeps the hash of its program, its last audit and its last attacks.
const (
	ProgramRecord = stateOwn + "/program.sha256"
	AuditReport   = stateOwn + "/audit/last.json"
	ProofReport   = stateOwn + "/attacks.json"
)
