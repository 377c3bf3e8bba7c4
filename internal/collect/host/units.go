package host

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"

	"rocca/internal/facts"
)

// units asks systemd for the properties of each unit.
func units(ctx context.Context, wanted []string) (map[string]facts.Unit, error) {
	found := map[string]facts.Unit{}
	if len(wanted) == 0 {
		return found, nil
	}
	conn, err := connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask systemd about units: %w\nhint: rocca needs a Debian booted with systemd", err)
	}
	defer conn.Close()
	for _, name := range wanted {
		properties, err := conn.GetUnitPropertiesContext(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("ask systemd about %s: %w", name, err)
		}
		unit := unitState(properties)
		if typed, err := conn.GetServicePropertyContext(ctx, name, "MainPID"); err == nil {
			pid, _ := typed.Value.Value().(uint32)
			unit.MainPID = int(pid)
		}
		found[name] = unit
	}
	return found, nil
}

// connect opens a connection to systemd: root's own, which needs no message bus,
// or by the bus, where everybody may ask.
func connect(ctx context.Context) (*dbus.Conn, error) {
	if os.Geteuid() == 0 {
		return dbus.NewSystemdConnectionContext(ctx)
	}
	return dbus.NewSystemConnectionContext(ctx)
}

// unitState reads what every kind of unit has.
func unitState(properties map[string]any) facts.Unit {
	unit := facts.Unit{
		Loaded:       text(properties, "LoadState") == "loaded",
		Masked:       text(properties, "LoadState") == "masked" || text(properties, "UnitFileState") == "masked",
		Fragment:     text(properties, "FragmentPath"),
		StateChanged: moment(properties, "StateChangeTimestamp"),
		Since:        moment(properties, "ActiveEnterTimestamp"),
	}
	switch text(properties, "UnitFileState") {
	case "enabled", "static", "alias":
		unit.Enabled = true
	}
	switch text(properties, "ActiveState") {
	case "active", "reloading":
		unit.Active = true
	case "failed":
		unit.Failed = true
	}
	unit.NeedsReload, _ = properties["NeedDaemonReload"].(bool)
	unit.DropIns, _ = properties["DropInPaths"].([]string)
	return unit
}

func text(properties map[string]any, key string) string {
	value, _ := properties[key].(string)
	return value
}

// moment reads a property in microseconds since the epoch; 0 and the largest
// number are never.
func moment(properties map[string]any, key string) time.Time {
	value, _ := properties[key].(uint64)
	if value == 0 || value > math.MaxInt64/1000 {
		return time.Time{}
	}
	return time.UnixMicro(int64(value))
}
