package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
	"rocca/internal/run"
)

// askers is how many properties are asked for at once: systemd answers one at a
// time, so this only has to keep it and the decoder busy.
const askers = 8

// services asks systemd for all services, timers and sockets that it has
// loaded, with what they run and how they are confined.
func services(ctx context.Context, root Root, secrets []string) (map[string]facts.Unit, error) {
	if !root.live() {
		return nil, fmt.Errorf("ask systemd about units: %s is not the running system", root)
	}
	conn, err := connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask systemd about units: %w", err)
	}
	defer conn.Close()
	exposures := make(chan map[string]float64, 1)
	go func() { exposures <- exposure(ctx) }()
	listed, err := conn.ListUnitsContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask systemd about units: %w", err)
	}
	found := map[string]facts.Unit{}
	var mu sync.Mutex
	var problem error
	var group sync.WaitGroup
	work := make(chan string)
	for range askers {
		group.Go(func() {
			for name := range work {
				properties, err := conn.GetAllPropertiesContext(ctx, name)
				unit := unitOfProperties(name, properties, secrets)
				if unlisted(properties, unit) {
					unit.Exposure = exposureOf(ctx, name)
				}
				mu.Lock()
				if err != nil {
					problem = errors.Join(problem, fmt.Errorf("ask systemd about %s: %w", name, err))
				} else if unit.Loaded || unit.Masked {
					found[name] = unit
				}
				mu.Unlock()
			}
		})
	}
	for _, unit := range listed {
		if slices.Contains([]string{".service", ".timer", ".socket"}, path.Ext(unit.Name)) {
			work <- unit.Name
		}
	}
	close(work)
	group.Wait()
	for name, value := range <-exposures {
		if unit, known := found[name]; known {
			unit.Exposure = value
			found[name] = unit
		}
	}
	return found, problem
}

// exposure asks systemd-analyze how exposed long-running services are. Nothing
// is known where that program is missing or too old.
func exposure(ctx context.Context) map[string]float64 {
	result, err := run.Do(ctx, run.Command{Argv: []string{"systemd-analyze", "security", "--json=short", "--no-pager"}})
	if err != nil {
		return nil
	}
	return parseExposure(result.Stdout)
}

func parseExposure(text []byte) map[string]float64 {
	var rows []struct{ Unit, Exposure string }
	if json.Unmarshal(text, &rows) != nil {
		return nil
	}
	found := map[string]float64{}
	for _, row := range rows {
		if value, err := strconv.ParseFloat(row.Exposure, 64); err == nil {
			found[row.Unit] = value
		}
	}
	return found
}

// unlisted tells of a service that runs PHP, ends, and so is not on the list of
// systemd-analyze.
func unlisted(properties map[string]any, unit facts.Unit) bool {
	return text(properties, "Type") == "oneshot" && unit.Loaded && slices.ContainsFunc(unit.Exec, func(e facts.Exec) bool {
		return strings.Contains(e.Path+" "+strings.Join(e.Args, " "), "php")
	})
}

// exposureOf asks systemd-analyze how exposed one service is; 0 when it cannot
// tell.
func exposureOf(ctx context.Context, name string) float64 {
	result, err := run.Do(ctx, run.Command{Argv: []string{"systemd-analyze", "security", "--no-pager", "--", name}})
	if err != nil {
		return 0
	}
	return parseOverall(string(result.Stdout))
}

var overall = regexp.MustCompile(`Overall exposure level for \S+: (\d+\.\d+) `)

func parseOverall(text string) float64 {
	match := overall.FindStringSubmatch(text)
	if match == nil {
		return 0
	}
	value, err := strconv.ParseFloat(match[1], 64)
	if err != nil {
		return 0
	}
	return value
}

// unitOfProperties makes facts of the properties of a unit
// (org.freedesktop.systemd1(5)).
func unitOfProperties(name string, properties map[string]any, secrets []string) facts.Unit {
	unit := unitState(properties)
	pid, _ := properties["MainPID"].(uint32)
	unit.MainPID = int(pid)
	switch path.Ext(name) {
	case ".service":
		unit.Runs = runs(properties, secrets)
		if !moment(properties, "ExecMainStartTimestamp").IsZero() {
			unit.Result = text(properties, "Result")
		}
	case ".timer":
		unit.Triggers = text(properties, "Unit")
		unit.LastTrigger, unit.Next = moment(properties, "LastTriggerUSec"), next(properties)
	case ".socket":
		unit.Streams = streams(properties)
		unit.SocketUser, unit.SocketGroup = text(properties, "SocketUser"), text(properties, "SocketGroup")
		if mode, ok := properties["SocketMode"].(uint32); ok {
			unit.SocketMode = fmt.Sprintf("%04o", mode)
		}
	}
	return unit
}

// next is when a timer elapses, by the calendar or else by the clock that began
// at boot.
func next(properties map[string]any) time.Time {
	if at := moment(properties, "NextElapseUSecRealtime"); !at.IsZero() {
		return at
	}
	sinceBoot := moment(properties, "NextElapseUSecMonotonic")
	var now unix.Timespec
	if sinceBoot.IsZero() || unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return time.Time{}
	}
	left := time.Duration(sinceBoot.UnixNano() - now.Nano())
	return time.Now().Add(left)
}

// streams are what a socket unit listens on; only streams are connected to.
func streams(properties map[string]any) []string {
	var found []string
	for _, row := range rows(properties["Listen"]) {
		if len(row) == 2 && (row[0] == "Stream" || row[0] == "SequentialPacket") {
			found = append(found, asText(row[1]))
		}
	}
	return found
}

func runs(properties map[string]any, secrets []string) facts.Runs {
	r := facts.Runs{
		User: text(properties, "User"), Group: text(properties, "Group"), Directory: text(properties, "WorkingDirectory"),
		Sandbox: sandbox(properties),
	}
	r.Supplementary, _ = properties["SupplementaryGroups"].([]string)
	r.DynamicUser, _ = properties["DynamicUser"].(bool)
	for _, when := range []string{"ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost"} {
		r.Exec = append(r.Exec, execs(when, properties, secrets)...)
	}
	environment, _ := properties["Environment"].([]string)
	for _, variable := range environment {
		name, _, _ := strings.Cut(variable, "=")
		r.Environment = append(r.Environment, name)
	}
	r.SecretsInEnv = secretVariables(environment, secrets)
	for _, row := range rows(properties["EnvironmentFiles"]) {
		if len(row) > 0 {
			r.EnvFiles = append(r.EnvFiles, asText(row[0]))
		}
	}
	return r
}

// execs reads an array of (path, argv, flags, times ...).
func execs(when string, properties map[string]any, secrets []string) []facts.Exec {
	var found []facts.Exec
	for _, row := range rows(properties[when+"Ex"]) {
		if len(row) < 3 {
			continue
		}
		argv, _ := row[1].([]string)
		flags, _ := row[2].([]string)
		e := facts.Exec{When: when, Path: asText(row[0]), Root: slices.Contains(flags, "privileged") || slices.Contains(flags, "no-setuid")}
		if len(argv) > 1 {
			masked := redactArgs(append([]string{e.Path}, argv[1:]...))
			for _, arg := range masked[min(1, len(masked)-1):] {
				e.Args = append(e.Args, hide(arg, secrets))
			}
		}
		found = append(found, e)
	}
	return found
}

// rows are the structs of an array property.
func rows(value any) [][]any {
	found, _ := value.([][]any)
	return found
}
