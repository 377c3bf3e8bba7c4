package prove

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/run"
)

var a17 = Attack{
	ID:    "A17",
	Title: "code inside of a unit looks at and writes what is outside of it",
	How: "PHP in each pool reads files that root has left for everybody to read (in /home, /var/backups and /tmp), a directory that everybody may write, rocca's record and keys, the configuration and tmp of other pools, the processes of others, and asks the buses of the system. " +
		"Then a program runs in a unit of its own with the same user and the same sandbox as that of the pool, as what an intruder brings along; it may be executed, which is the only difference. " +
		"It makes a namespace, traces and reads a process of its user outside, opens sockets of other families, and starts a shell, a copy of a program in its own directory, and one from memory.",
	Risk:    "none: files and processes of its own",
	Without: []Protection{readOnlySystem, privateTmp, noNamespaces, hiddenProcesses, hiddenPaths},
	Attempt: attemptEscape,
}

var readOnlySystem = Protection{
	ID:       "unit-read-only",
	Title:    "the file system is read-only in the unit of the UI's pool",
	Part:     UIUnit,
	Remove:   withoutOption("ui", "ProtectSystem=no"),
	Controls: []string{"ISO-08"},
}

var privateTmp = Protection{
	ID:    "unit-private-tmp",
	Title: "the unit of the UI's pool has a /tmp of its own",
	Part:  UIUnit,
	// OPcache needs to write to /tmp, whosever it is.
	Remove:   withoutOption("ui", "PrivateTmp=no", "ReadWritePaths=/tmp"),
	Controls: []string{"ISO-07"},
}

var noNamespaces = Protection{
	ID:       "unit-no-namespaces",
	Title:    "the unit of the UI's pool cannot make namespaces",
	Part:     UIUnit,
	Remove:   withoutOption("ui", "RestrictNamespaces=no"),
	Controls: []string{"ISO-07"},
}

var hiddenProcesses = Protection{
	ID:       "unit-hidden-processes",
	Title:    "the tracker's unit does not see the processes of others",
	Part:     TrackerUnit,
	Remove:   withoutOption("tracker", "ProtectProc=default"),
	Controls: []string{"ISO-07"},
}

var hiddenPaths = Protection{
	ID:       "unit-hidden-paths",
	Title:    "the tracker's unit does not see backups, keys, other data and the buses of the system",
	Part:     TrackerUnit,
	Remove:   withoutOption("tracker", "InaccessiblePaths="),
	Controls: []string{"ISO-07"},
}

func attemptEscape(ctx context.Context, t *Target, r *Record) error {
	for _, pool := range t.MatomoPools() {
		deeds, err := t.escapeDeeds(pool)
		if err != nil {
			return err
		}
		if err := t.tryInPool(ctx, r, pool, deeds); err != nil {
			return err
		}
		if err := t.tryInUnit(ctx, r, pool); err != nil {
			return err
		}
	}
	return nil
}

// buses are sockets on which systemd and others answer any user.
var buses = []string{"/run/dbus/system_bus_socket", "/run/systemd/private", "/run/systemd/userdb/io.systemd.DynamicUser", "/run/systemd/io.system.ManagedOOM", "/run/systemd/resolve/io.systemd.Resolve"}

// escapeDeeds are what PHP in a pool tries.
func (t *Target) escapeDeeds(pool facts.Pool) ([]deed, error) {
	var deeds []deed
	for _, top := range []string{"/home", "/var/backups", "/tmp"} {
		if info, err := os.Stat(top); err != nil || !info.IsDir() {
			continue
		}
		file, again := path.Join(top, Canary()), path.Join(top, canaryAgain)
		if err := t.Plant(file, "root", 0o644, "canary"); err != nil {
			return nil, err
		}
		deeds = append(deeds, deed{
			What: "read a file that everybody may read", Where: file, PHP: readPHP(file), Again: readPHP(again),
			Setup: "echo canary >" + again + "; chmod 644 " + again, Cleanup: "rm " + again,
		})
	}
	dir, again := "/var/lib/"+Canary(), "/var/lib/"+canaryAgain
	if err := t.PlantDir(dir, "root", 0o777); err != nil {
		return nil, err
	}
	deeds = append(deeds, deed{
		What: "write to a directory that everybody may write", Where: dir, PHP: writePHP(dir), Again: writePHP(again),
		Setup: "mkdir -m 777 " + again, Cleanup: "rm -r " + again,
	})
	for _, name := range t.othersPaths(pool) {
		deeds = append(deeds, deed{What: "read what belongs to others", Where: name, PHP: readPHP(name)})
	}
	for _, name := range buses {
		if _, err := os.Stat(name); err == nil {
			deeds = append(deeds, deed{What: "connect to the system", Where: name, PHP: "return stream_socket_client('unix://" + name + "', $n, $e, 1) ? 'connected' : '';"})
		}
	}
	return append(deeds, deed{What: "look at the processes of others", Where: "/proc", PHP: `foreach (scandir('/proc') as $p) {
		if (ctype_digit($p) && fileowner("/proc/$p") !== posix_geteuid() && ($c = file_get_contents("/proc/$p/cmdline"))) {
			return "process $p, " . strtok($c, "\0");
		}
	}
	return '';`}), nil
}

// othersPaths are files and directories that hold what is not the pool's.
func (t *Target) othersPaths(pool facts.Pool) []string {
	names := []string{"/root", "/etc/shadow", "/etc/rocca/tls", "/var/lib/rocca", "/var/lib/mysql", "/etc/ssl/private"}
	for _, c := range t.Matomo.Contexts {
		if c.User != pool.User {
			names = append(names, c.Config, c.Tmp)
		}
	}
	for _, other := range t.PHP.Pools {
		if other.User == pool.User {
			continue
		}
		for _, directive := range []string{"sys_temp_dir", "upload_tmp_dir", "session.save_path"} {
			names = append(names, other.Value(directive, ""))
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool {
		_, err := os.Stat(name)
		return !path.IsAbs(name) || slices.Contains([]string{"/tmp", "/var/lib/php/sessions"}, name) || err != nil
	})
}

// readPHP is PHP that tells how much it can read of a file or directory.
func readPHP(name string) string {
	quoted := phpText(name)
	return `if (is_dir(` + quoted + `)) { $names = scandir(` + quoted + `); return $names ? count($names) . ' names' : ''; } $text = file_get_contents(` + quoted + `); return $text === false ? '' : strlen($text) . ' bytes';`
}

func writePHP(dir string) string {
	file := phpText(dir + "/x.php")
	return `return file_put_contents(` + file + `, '<?php') ? 'wrote x.php' : '';`
}

// tryInUnit runs a program in the sandbox of a pool.
func (t *Target) tryInUnit(ctx context.Context, r *Record, pool facts.Pool) error {
	unit, known := t.Units[pool.Master]
	if !known || !unit.Loaded {
		return fmt.Errorf("run a program in the unit of the pool %s: %q is no unit that was seen", pool.Name, pool.Master)
	}
	dir, err := t.ownDir(ctx, pool)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("run a program in the unit of the pool %s: %w", pool.Name, err)
	}
	outside, err := run.Start(AsCommand(pool.User, run.Command{Argv: []string{"sleep", "60"}}), "/dev/null")
	if err != nil {
		return err
	}
	defer func() { _, _ = outside.Wait() }()
	defer func() { _ = outside.Kill() }()
	argv := append(inUnit(pool, unit, program), program, "prove", "deed", "--dir", dir)
	printed, err := run.Do(ctx, run.Command{Argv: slices.Concat(argv, []string{"--outside", strconv.Itoa(outside.Pid)})})
	var all []Came
	if json.Unmarshal(printed.Stdout, &all) != nil || len(all) == 0 {
		return fmt.Errorf("run a program in the unit of the pool %s: %w", pool.Name, errors.Join(err, errors.New("it said nothing")))
	}
	for _, came := range all {
		try := model.Try{Who: "a program in a unit like " + pool.Master, What: came.Name, Where: "user " + pool.User, Answer: came.Got, Fell: came.Got != ""}
		if try.Fell {
			sleep := run.Quote(AsCommand(pool.User, run.Command{Argv: []string{"sleep", "9"}}).Argv)
			try.Reproduce = tidily(nil, sleep+" & "+run.Quote(argv)+" --outside $! "+shellWord(came.Name), "kill $!")
		} else {
			try.Answer = came.Why
		}
		r.Try(try)
	}
	return nil
}

// sandboxPassed are the options of a unit that confine what runs in it. Others
// make or remove directories and objects that are the real unit's.
var sandboxPassed = []string{
	"AppArmorProfile", "AmbientCapabilities", "CapabilityBoundingSet", "DevicePolicy", "ExecPaths", "InaccessiblePaths", "IPAddressAllow", "IPAddressDeny", "KeyringMode",
	"LockPersonality", "MemoryDenyWriteExecute", "NoExecPaths", "NoNewPrivileges", "PrivateDevices", "PrivateIPC", "PrivateMounts", "PrivateNetwork", "PrivatePIDs", "PrivateTmp", "PrivateUsers",
	"ProcSubset", "ProtectClock", "ProtectControlGroups", "ProtectHome", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "ProtectSystem",
	"ReadOnlyPaths", "ReadWritePaths", "RestrictAddressFamilies", "RestrictFileSystems", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "RootDirectory", "SecureBits",
	"SystemCallArchitectures", "SystemCallErrorNumber", "SystemCallFilter", "TasksMax", "TemporaryFileSystem", "UMask",
}

// inUnit is how a program is started in a unit that has the sandbox of another
// and is gone when the program ends. The program alone may be executed there,
// whatever else may not.
func inUnit(pool facts.Pool, unit facts.Unit, program string) []string {
	argv := []string{"systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--property=User=" + pool.User, "--property=Group=" + pool.Group}
	for _, name := range sandboxPassed {
		value, set := unit.Sandbox[name]
		switch {
		case name == "ExecPaths" && unit.Sandbox["NoExecPaths"] != "":
			value = strings.TrimSpace(value + " " + program)
		case !set || value == "all" || value == "infinity":
			continue
		}
		argv = append(argv, "--property="+name+"="+value)
	}
	return append(argv, "--")
}
