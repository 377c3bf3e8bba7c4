package host

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// sandboxOptions confine a service, or open what others close to it
// (systemd.exec(5), systemd.resource-control(5)).
var sandboxOptions = []string{
	"AmbientCapabilities", "AppArmorProfile", "BindPaths", "BindReadOnlyPaths", "CacheDirectory", "CapabilityBoundingSet",
	"CPUQuota", "CPUWeight", "Delegate", "DeviceAllow", "DevicePolicy", "ExecPaths", "InaccessiblePaths", "IPAddressAllow",
	"IPAddressDeny", "KeyringMode", "LimitCORE", "LimitNOFILE", "LimitNPROC", "LockPersonality", "LogsDirectory",
	"MemoryDenyWriteExecute", "MemoryHigh", "MemoryMax", "MemorySwapMax", "NetworkNamespacePath", "NoExecPaths",
	"NoNewPrivileges", "PrivateDevices", "PrivateIPC", "PrivateMounts", "PrivateNetwork", "PrivatePIDs", "PrivateTmp",
	"PrivateUsers", "ProcSubset", "ProtectClock", "ProtectControlGroups", "ProtectHome", "ProtectHostname", "ProtectKernelLogs",
	"ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "ProtectSystem", "ReadOnlyPaths", "ReadWritePaths",
	"RemoveIPC", "RestrictAddressFamilies", "RestrictFileSystems", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID",
	"RootDirectory", "RootImage", "RuntimeDirectory", "SecureBits", "SocketBindAllow", "SocketBindDeny", "StateDirectory",
	"SystemCallArchitectures", "SystemCallErrorNumber", "SystemCallFilter", "TasksMax", "TemporaryFileSystem", "UMask",
}

// sandbox returns the options of a service as its unit file would have them.
// What is not set and has no value of its own is left out.
func sandbox(properties map[string]any) map[string]string {
	found := map[string]string{}
	for _, name := range sandboxOptions {
		value, known := properties[name]
		if name == "CPUQuota" {
			value, known = properties["CPUQuotaPerSecUSec"]
		}
		if !known {
			continue
		}
		text := option(name, value)
		if text != "" || name == "CapabilityBoundingSet" {
			found[name] = text
		}
	}
	return found
}

func option(name string, value any) string {
	switch name {
	case "CapabilityBoundingSet", "AmbientCapabilities":
		return capabilities(value)
	case "RestrictNamespaces":
		return namespaces(value)
	case "UMask":
		if mask, ok := value.(uint32); ok {
			return fmt.Sprintf("%04o", mask)
		}
	case "SystemCallErrorNumber":
		return errorName(value)
	case "CPUQuota":
		if perSecond, ok := value.(uint64); ok && perSecond != math.MaxUint64 {
			return strconv.FormatUint(perSecond/10_000, 10) + "%"
		}
		return "infinity"
	case "IPAddressAllow", "IPAddressDeny":
		return addresses(rows(value))
	}
	return asText(value)
}

// asText writes a value of D-Bus as a unit file has it.
func asText(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case uint64:
		if v == math.MaxUint64 {
			return "infinity"
		}
		return strconv.FormatUint(v, 10)
	case int32, uint32, int64:
		return fmt.Sprint(v)
	case []string:
		return strings.Join(v, " ")
	case [][]any: // such as BindPaths: source, destination, ...
		items := make([]string, len(v))
		for i, row := range v {
			items[i] = tuple(row)
		}
		return strings.Join(items, " ")
	case []any: // a list with what it means: true, these only; false, all but these
		if len(v) != 2 {
			return ""
		}
		first, isBool := v[0].(bool)
		list := asText(v[1])
		if !isBool || list == "" && !first {
			return list
		}
		if _, many := v[1].([]string); many && !first {
			return "~" + list
		}
		if list == "" {
			return "none"
		}
		return list
	}
	return ""
}

// tuple joins the texts of a struct with colons, the numbers and flags left out.
func tuple(row []any) string {
	var parts []string
	for _, field := range row {
		if text, ok := field.(string); ok && (text != "" || len(parts) == 0) {
			parts = append(parts, text)
		}
	}
	return strings.Join(slices.Compact(parts), ":")
}

// capabilityNames are in the order of their bits (linux/capability.h).
var capabilityNames = strings.Fields(`CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID
	CAP_SETUID CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK
	CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE
	CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP
	CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF
	CAP_CHECKPOINT_RESTORE`)

func capabilities(value any) string {
	bits, _ := value.(uint64)
	if bits == math.MaxUint64 {
		return "all"
	}
	return strings.Join(capabilityList(bits), " ")
}

func capabilityList(bits uint64) []string {
	var found []string
	for i, name := range capabilityNames {
		if bits&(1<<i) != 0 {
			found = append(found, name)
		}
	}
	return found
}

// Flags of namespaces (linux/sched.h) that a service may make.
var namespaceFlags = []struct {
	flag uint64
	name string
}{{0x02000000, "cgroup"}, {0x08000000, "ipc"}, {0x40000000, "net"}, {0x00020000, "mnt"}, {0x20000000, "pid"}, {0x10000000, "user"}, {0x04000000, "uts"}}

// namespaces says what RestrictNamespaces is: "yes", "no", or those allowed.
func namespaces(value any) string {
	allowed, ok := value.(uint64)
	if !ok {
		return ""
	}
	var names []string
	for _, n := range namespaceFlags {
		if allowed&n.flag != 0 {
			names = append(names, n.name)
		}
	}
	switch len(names) {
	case 0:
		return "yes"
	case len(namespaceFlags):
		return "no"
	}
	return strings.Join(names, " ")
}

// errorName knows the two errors that filters are told to give.
func errorName(value any) string {
	number, _ := value.(int32)
	switch number {
	case 0, math.MaxInt32, math.MaxInt32 - 1: // the process is killed
		return ""
	case 1:
		return "EPERM"
	case 13:
		return "EACCES"
	}
	return strconv.Itoa(int(number))
}

// addresses reads (family, bytes, prefix length); all of both families are "any".
func addresses(list [][]any) string {
	var found []string
	everything := 0
	for _, row := range list {
		if len(row) != 3 {
			continue
		}
		raw, _ := row[1].([]byte)
		bits, _ := row[2].(uint32)
		address, ok := netip.AddrFromSlice(raw)
		if !ok {
			continue
		}
		if bits == 0 {
			everything++
		}
		found = append(found, netip.PrefixFrom(address, int(bits)).String())
	}
	if everything == 2 {
		return "any"
	}
	return strings.Join(found, " ")
}
