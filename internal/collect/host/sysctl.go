package host

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
)

// kernelSettings are the settings of the kernel that controls ask for.
var kernelSettings = []string{
	"fs.protected_fifos", "fs.protected_hardlinks", "fs.protected_regular", "fs.protected_symlinks", "fs.suid_dumpable",
	"kernel.core_pattern", "kernel.dmesg_restrict", "kernel.kexec_load_disabled", "kernel.kptr_restrict",
	"kernel.perf_event_paranoid", "kernel.randomize_va_space", "kernel.sysrq", "kernel.unprivileged_bpf_disabled",
	"kernel.unprivileged_userns_clone", "kernel.yama.ptrace_scope", "net.core.bpf_jit_harden",
	"net.ipv4.conf.all.accept_redirects", "net.ipv4.conf.all.accept_source_route", "net.ipv4.conf.all.log_martians",
	"net.ipv4.conf.all.rp_filter", "net.ipv4.conf.all.secure_redirects", "net.ipv4.conf.all.send_redirects",
	"net.ipv4.conf.default.accept_redirects", "net.ipv4.conf.default.accept_source_route", "net.ipv4.conf.default.log_martians",
	"net.ipv4.conf.default.rp_filter", "net.ipv4.conf.default.secure_redirects", "net.ipv4.conf.default.send_redirects",
	"net.ipv4.icmp_echo_ignore_broadcasts", "net.ipv4.icmp_ignore_bogus_error_responses", "net.ipv4.ip_forward", "net.ipv4.tcp_syncookies",
	"net.ipv6.conf.all.accept_ra", "net.ipv6.conf.all.accept_redirects", "net.ipv6.conf.all.accept_source_route",
	"net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.all.forwarding",
	"net.ipv6.conf.default.accept_ra", "net.ipv6.conf.default.accept_redirects", "net.ipv6.conf.default.accept_source_route",
	"user.max_user_namespaces", "vm.mmap_min_addr", "vm.unprivileged_userfaultfd",
}

// kernel reads how the kernel is set, and what would set it at boot. A setting
// that this kernel does not have is left out.
func kernel(root Root) (facts.Kernel, error) {
	var k facts.Kernel
	release, problem := root.proc("sys/kernel/osrelease")
	k.Release = strings.TrimSpace(release)
	persisted, err := persistedSettings(root)
	problem = errors.Join(problem, err)
	k.Settings, k.Persisted = map[string]facts.Setting{}, map[string]string{}
	for name, setting := range persisted {
		k.Persisted[name] = setting.Value
	}
	for _, name := range kernelSettings {
		value, err := root.proc("sys/" + strings.ReplaceAll(name, ".", "/"))
		if gone(err) {
			continue
		}
		if err != nil {
			problem = errors.Join(problem, fmt.Errorf("read %s: %w", name, err))
			continue
		}
		k.Settings[name] = facts.Setting{Value: strings.Join(strings.Fields(value), " "), From: persisted[name].From}
	}
	return k, problem
}

// persistedSettings reads what systemd-sysctl sets at boot: files by name, of
// which an earlier directory hides a later one (sysctl.d(5)).
func persistedSettings(root Root) (map[string]facts.Setting, error) {
	files, err := configParts(root, "sysctl.d", ".conf")
	if err != nil {
		return nil, fmt.Errorf("read settings of the kernel: %w", err)
	}
	var problem error
	exact, excluded := map[string]facts.Setting{}, map[string]bool{}
	var globs []string
	var patterns []facts.Setting // of each of globs
	for _, file := range files {
		content, err := root.readIfThere(file)
		problem = errors.Join(problem, err)
		for number, assignment := range sysctlLines(content) {
			setting := facts.Setting{Value: assignment.value, From: fmt.Sprintf("%s:%d", file, number)}
			switch {
			case assignment.exclude:
				excluded[assignment.name] = true
			case strings.ContainsAny(assignment.name, "*?["):
				globs, patterns = append(globs, assignment.name), append(patterns, setting)
			default:
				exact[assignment.name] = setting
			}
		}
	}
	all := maps.Clone(exact)
	for i, glob := range globs {
		for _, name := range kernelSettings {
			matched, err := path.Match(strings.ReplaceAll(glob, ".", "/"), strings.ReplaceAll(name, ".", "/"))
			_, set := exact[name] // an exact name is stronger than a pattern, wherever they stand
			if err == nil && matched && !set && !excluded[name] {
				all[name] = patterns[i]
			}
		}
	}
	if problem != nil {
		problem = fmt.Errorf("read settings of the kernel: %w", problem)
	}
	return all, problem
}

type sysctlAssignment struct {
	name, value string
	exclude     bool // "-name" without a value: patterns leave it alone
}

// sysctlLines yields "name = value". A name has dots, or slashes when one is
// its first separator.
func sysctlLines(content string) func(yield func(int, sysctlAssignment) bool) {
	return func(yield func(int, sysctlAssignment) bool) {
		number := 0
		for line := range strings.Lines(content) {
			number++
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' || line[0] == ';' {
				continue
			}
			name, value, assigned := strings.Cut(line, "=")
			bare, optional := strings.CutPrefix(strings.TrimSpace(name), "-")
			if !assigned && !optional {
				continue
			}
			if at := strings.IndexAny(bare, "./"); at >= 0 && bare[at] == '/' {
				bare = strings.NewReplacer("/", ".", ".", "/").Replace(bare)
			}
			if bare != "" && !yield(number, sysctlAssignment{bare, strings.Join(strings.Fields(value), " "), !assigned}) {
				return
			}
		}
	}
}

// configDirs are where systemd looks for its configuration, the strongest first.
var configDirs = []string{"/etc/", "/run/", "/usr/local/lib/", "/usr/lib/"}

// configParts lists the files of a directory of parts in the order in which
// systemd reads them: sorted by name, and of files of one name the one in the
// first directory. A link to /dev/null switches one off.
func configParts(root Root, dir, extension string) ([]string, error) {
	chosen := map[string]string{}
	for _, top := range configDirs {
		at := top + dir
		names, err := root.list(at)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if _, hidden := chosen[name]; !hidden && strings.HasSuffix(name, extension) {
				chosen[name] = at + "/" + name
			}
		}
	}
	var files []string
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		if stat, err := root.stat(chosen[name]); err == nil && stat.Mode&unix.S_IFMT == unix.S_IFREG {
			files = append(files, chosen[name])
		}
	}
	return files, nil
}
