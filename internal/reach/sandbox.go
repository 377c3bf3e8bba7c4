package reach

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// place is what a sandbox makes of one path.
type place struct {
	hidden   bool
	readonly bool
	entered  bool // mounted elsewhere too: no directory above has to be searched
}

// view is the file system as a service sees it: systemd.exec(5), "Sandboxing".
type view struct {
	rules map[string]place // by real path; the deepest that covers a path decides
	walls []string         // inaccessible: also all below, whatever the rules say
}

// powers are what a sandbox leaves beside files.
type powers struct {
	unix      bool // may open Unix sockets
	loopback  bool // may connect to TCP ports of this machine
	network   bool // may connect to others
	elevates  bool // programs with the set-user-ID bit work, sudo(8) among them
	overrides bool // a capability passes over modes
	root      string
}

var allPowers = powers{unix: true, loopback: true, network: true, elevates: true}

func words(sandbox map[string]string, name string) []string {
	return strings.Fields(sandbox[name])
}

func on(sandbox map[string]string, name string) bool {
	return slices.Contains([]string{"yes", "true", "1", "on"}, sandbox[name])
}

// bare takes the marks off a path of a unit: "-" for "if it is there", "+" for
// "below RootDirectory".
func bare(word string) string {
	return path.Clean("/" + strings.TrimLeft(word, "-+"))
}

// newView reads the sandbox of a unit. It is nil when files are as they are.
func newView(unit facts.Unit, real func(string) string) *view {
	s := unit.Sandbox
	v := &view{rules: map[string]place{}}
	set := func(p place, paths ...string) {
		for _, at := range paths {
			v.rules[real(bare(at))] = p
		}
	}
	switch s["ProtectSystem"] {
	case "strict":
		set(place{readonly: true}, "/")
		set(place{}, "/dev", "/proc", "/sys")
	case "full":
		set(place{readonly: true}, "/usr", "/boot", "/efi", "/etc")
	case "yes", "true":
		set(place{readonly: true}, "/usr", "/boot", "/efi")
	}
	if root := s["RootDirectory"]; root != "" && root != "/" {
		set(place{hidden: true}, "/")
		set(place{entered: true}, root)
	}
	if s["RootImage"] != "" {
		set(place{hidden: true}, "/")
	}
	homes := []string{"/home", "/root", "/run/user"}
	switch s["ProtectHome"] {
	case "yes", "true":
		v.walls = append(v.walls, homes...)
	case "read-only":
		set(place{readonly: true}, homes...)
	case "tmpfs":
		set(place{hidden: true}, homes...)
	}
	if on(s, "PrivateTmp") || s["PrivateTmp"] == "disconnected" {
		set(place{hidden: true}, "/tmp", "/var/tmp")
	}
	for _, word := range words(s, "TemporaryFileSystem") {
		at, _, _ := strings.Cut(word, ":")
		set(place{hidden: true}, at)
	}
	set(place{readonly: true}, words(s, "ReadOnlyPaths")...)
	set(place{}, words(s, "ReadWritePaths")...)
	for option, base := range map[string]string{"StateDirectory": "/var/lib", "CacheDirectory": "/var/cache", "LogsDirectory": "/var/log", "RuntimeDirectory": "/run"} {
		for _, name := range words(s, option) {
			name, _, _ = strings.Cut(name, ":")
			set(place{}, path.Join(base, name))
		}
	}
	bind := func(option string, source place) {
		for _, word := range words(s, option) {
			parts := strings.Split(word, ":")
			if len(parts) > 1 && bare(parts[1]) != bare(parts[0]) {
				set(place{hidden: true}, parts[1]) // what was there is covered
			}
			set(source, parts[0])
		}
	}
	bind("BindPaths", place{entered: true})
	bind("BindReadOnlyPaths", place{entered: true, readonly: true})
	for _, at := range words(s, "InaccessiblePaths") {
		v.walls = append(v.walls, real(bare(at)))
	}
	if len(v.rules) == 0 && len(v.walls) == 0 {
		return nil
	}
	slices.Sort(v.walls)
	return v
}

// at tells what a path is in the view.
func (v *view) at(p string) place {
	if v == nil {
		return place{}
	}
	found, decided := place{}, false
	for at := p; ; at = path.Dir(at) {
		if _, wall := slices.BinarySearch(v.walls, at); wall {
			return place{hidden: true}
		}
		if rule, set := v.rules[at]; set && !decided {
			found, decided = rule, true
			found.entered = rule.entered && at == p
		}
		if at == "/" || at == "." {
			return found
		}
	}
}

// points are the paths at which the view changes.
func (v *view) points() []string {
	if v == nil {
		return nil
	}
	points := slices.Clone(v.walls)
	for at := range v.rules {
		points = append(points, at)
	}
	return points
}

// Capabilities that pass over modes, and those that are as good as root.
var (
	overriding = []string{"cap_dac_override", "cap_dac_read_search", "cap_fowner", "cap_chown"}
	almighty   = []string{"cap_sys_admin", "cap_sys_ptrace", "cap_sys_module", "cap_setuid", "cap_setgid", "cap_setfcap", "cap_sys_rawio", "cap_bpf"}
)

// newPowers reads what a unit may do beside files. It runs as another user than
// root: only ambient capabilities count.
func newPowers(unit facts.Unit) powers {
	s := unit.Sandbox
	p := powers{
		unix:     family(s, "AF_UNIX"),
		loopback: family(s, "AF_INET") || family(s, "AF_INET6"),
		elevates: !on(s, "NoNewPrivileges"),
	}
	p.network = p.loopback
	if on(s, "PrivateNetwork") || s["NetworkNamespacePath"] != "" {
		p.loopback, p.network = false, false
	}
	p.loopback = p.loopback && !addressDenied(s)
	for _, capability := range words(s, "AmbientCapabilities") {
		capability = strings.ToLower(capability)
		if slices.Contains(overriding, capability) {
			p.overrides = true
		}
		if slices.Contains(almighty, capability) && p.root == "" {
			p.root = capability
		}
	}
	return p
}

// family tells whether sockets of an address family may be opened
// (RestrictAddressFamilies).
func family(sandbox map[string]string, name string) bool {
	families := words(sandbox, "RestrictAddressFamilies")
	if len(families) == 0 {
		return true
	}
	if strings.HasPrefix(families[0], "~") {
		families[0] = families[0][1:]
		return !slices.Contains(families, name)
	}
	return slices.Contains(families, name)
}

// addressDenied tells whether a unit cannot speak to 127.0.0.1.
func addressDenied(sandbox map[string]string) bool {
	covers := func(list string) bool {
		return slices.ContainsFunc(words(sandbox, list), func(word string) bool {
			if word == "any" || word == "localhost" {
				return true
			}
			if prefix, err := netip.ParsePrefix(word); err == nil {
				return prefix.Contains(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
			}
			return word == "127.0.0.1"
		})
	}
	return covers("IPAddressDeny") && !covers("IPAddressAllow")
}
