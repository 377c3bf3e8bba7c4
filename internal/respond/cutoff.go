package respond

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"rocca/internal/durable"
	"rocca/internal/incident"
	"rocca/internal/run"
	"rocca/internal/triage"
)

//go:embed block.nft.tmpl
var blockRules string

//go:embed block.service.tmpl
var blockService string

//go:embed lift.service
var liftService string

//go:embed lift.timer.tmpl
var liftTimer string

// Units of the block.
const (
	unitDir     = "/etc/systemd/system"
	blockUnit   = "rocca-incident.service"
	liftUnit    = "rocca-incident-lift.service"
	timerUnit   = "rocca-incident-lift.timer"
	filterTable = "rocca_incident"
)

// calendar is how the timer's unit is told when; Blocked reads it there.
const calendar = "2006-01-02 15:04:05 UTC"

// blocked is what cutOff keeps: how it was decided, so that a step that runs
// again after a kill does not grant more time.
type blocked struct {
	Operator []netip.Prefix   `json:"operator"`
	Reach    []netip.AddrPort `json:"reach,omitempty"`
	Lift     time.Time        `json:"lift,omitzero"` // when it goes by itself; zero: never
}

func (s *Server) block() blocked {
	b := blocked{Operator: s.Operator, Reach: s.Reach}
	if s.Hours > 0 {
		b.Lift = s.now().UTC().Add(time.Duration(s.Hours) * time.Hour).Truncate(time.Second)
	}
	return b
}

// Rules writes the rules that let in nobody but the operator. They are a table
// of its own: what was there stays, and may forbid more.
func Rules(operator []netip.Prefix, reach []netip.AddrPort) (string, error) {
	functions := template.FuncMap{"family": func(a netip.Addr) string {
		if a.Is4() {
			return "ip"
		}
		return "ip6"
	}}
	parsed, err := template.New("block").Funcs(functions).Parse(blockRules)
	if err != nil {
		return "", fmt.Errorf("write the rules of the block: %w", err)
	}
	var text bytes.Buffer
	err = parsed.Execute(&text, map[string]any{"Operator": operator, "Reach": reach, "Table": filterTable})
	return text.String(), err
}

// CheckOperator refuses addresses that are not one operator's.
func CheckOperator(prefix netip.Prefix) error {
	widest := 24
	if prefix.Addr().Is6() {
		widest = 48
	}
	if prefix.Bits() < widest {
		return fmt.Errorf("let %s in: that is more than one operator's network\nhint: name an address, or a network of at least /%d", prefix, widest)
	}
	return nil
}

func (s *Server) planCutOff(context.Context) ([]string, error) {
	if len(s.Operator) == 0 {
		return []string{"drop all packets in and out but on loopback: nobody can log in over the network (--accept-lockout)", s.liftText()}, nil
	}
	return []string{fmt.Sprintf("drop all packets in and out but on loopback and from %s", join(s.Operator)), s.liftText()}, nil
}

func (s *Server) liftText() string {
	if s.Hours == 0 {
		return "keep it until rocca respond release"
	}
	return fmt.Sprintf("take it back by itself after %d hours, unless rocca respond confirm", s.Hours)
}

func join(list []netip.Prefix) string {
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = p.String()
		if p.IsSingleIP() {
			words[i] = p.Addr().String()
		}
	}
	return strings.Join(words, ", ")
}

// cutOff puts the timer that takes the block back in place before the block.
func (s *Server) cutOff(ctx context.Context, c *incident.Case) error {
	if err := c.Save("block", s.block()); err != nil {
		return err
	}
	var b blocked
	if _, err := c.Load("block", &b); err != nil {
		return err
	}
	rules, err := Rules(b.Operator, b.Reach)
	if err != nil {
		return err
	}
	file := filepath.Join(c.Dir, "state", "block.nft")
	files := []struct{ path, content string }{{file, rules}, {unitPath(blockUnit), strings.ReplaceAll(blockService, "RULES", file)}, {unitPath(liftUnit), liftService}}
	if !b.Lift.IsZero() {
		files = append(files, struct{ path, content string }{unitPath(timerUnit), strings.ReplaceAll(liftTimer, "WHEN", b.Lift.Format(calendar))})
	}
	for _, f := range files {
		if err := write(f.path, f.content); err != nil {
			return err
		}
	}
	commands := [][]string{{"nft", "-c", "-f", file}, {"systemctl", "daemon-reload"}}
	if !b.Lift.IsZero() {
		commands = append(commands, []string{"systemctl", "enable", "--now", timerUnit})
	}
	// The rules first by themselves: they must hold even where systemd does not answer.
	commands = append(commands, []string{"nft", "-f", file}, []string{"systemctl", "enable", blockUnit}, []string{"systemctl", "restart", blockUnit})
	for _, argv := range commands {
		if _, err := run.Do(ctx, run.Command{Argv: argv}); err != nil {
			return errors.Join(err, c.Note("the network is not, or not surely, cut off: pull the plug of the network at the provider"))
		}
	}
	text := "cut off the network for all but " + join(b.Operator)
	if len(b.Operator) == 0 {
		text = "cut off the network for everybody"
	}
	if !b.Lift.IsZero() {
		text += ", until " + b.Lift.Format("2006-01-02 15:04 UTC") + " unless confirmed"
	}
	return c.Changed(text, "rocca respond release; from the console: systemctl disable --now "+blockUnit)
}

func unitPath(unit string) string { return filepath.Join(unitDir, unit) }

// write writes a file of root's; rules of packets are for root only.
func write(path, content string) error {
	mode := fs.FileMode(0o644)
	if filepath.Ext(path) == ".nft" {
		mode = 0o600
	}
	return durable.Write(path, []byte(content), durable.Attr{Mode: mode})
}

// tryCutOff checks the rules without loading them.
func (s *Server) tryCutOff(ctx context.Context, c *incident.Case) error {
	rules, err := Rules(s.Operator, s.Reach)
	if err != nil {
		return err
	}
	if _, err := c.Put("rehearsal/block.nft", "rocca respond rehearse", []byte(rules)); err != nil {
		return err
	}
	if _, err := run.Do(ctx, run.Command{Argv: []string{"nft", "-c", "-f", "-"}, Stdin: strings.NewReader(rules)}); err != nil {
		return fmt.Errorf("the network could not be cut off: %w", err)
	}
	return c.Note("the kernel takes the rules of the block (nft -c); they were not loaded")
}

// Confirm keeps the block for as long as it takes: whoever can ask for this is
// not locked out.
func Confirm(ctx context.Context, c *incident.Case) error {
	if c.State(CutOff) != incident.Done {
		return errors.New("confirm the block: this server is not cut off by this case\nhint: rocca respond status shows how far it is")
	}
	if _, err := os.Lstat(unitPath(timerUnit)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := run.Do(ctx, run.Command{Argv: []string{"systemctl", "disable", "--now", timerUnit}}); err != nil {
		return err
	}
	if err := os.Remove(unitPath(timerUnit)); err != nil {
		return fmt.Errorf("confirm the block: %w", err)
	}
	return c.Changed("the block stays until it is released: it was confirmed", "rocca respond release")
}

// loaded lists the rules of the block in the kernel; an error: there are none.
func loaded(ctx context.Context) (run.Result, error) {
	return run.Do(ctx, run.Command{Argv: []string{"nft", "list", "table", "inet", filterTable}})
}

// Block is how the block stands.
type Block struct {
	Up   bool      `json:"up"`            // the rules are loaded
	Lift time.Time `json:"lift,omitzero"` // when they go by themselves
}

// Blocked tells how the block of a case stands now.
func Blocked(ctx context.Context, dir string) (Block, error) {
	var b Block
	_, err := loaded(ctx)
	b.Up = err == nil
	text, err := os.ReadFile(unitPath(timerUnit))
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	for line := range strings.Lines(string(text)) {
		if when, is := strings.CutPrefix(strings.TrimSpace(line), "OnCalendar="); is && b.Up {
			b.Lift, err = time.Parse(calendar, when)
		}
	}
	return b, err
}

// openNetwork takes the block back.
func (s *Server) openNetwork(ctx context.Context, c *incident.Case) error {
	var problems []error
	did := false
	for _, unit := range []string{timerUnit, blockUnit} {
		if _, err := os.Lstat(unitPath(unit)); err != nil {
			continue
		}
		did = true
		if _, err := run.Do(ctx, run.Command{Argv: []string{"systemctl", "disable", "--now", unit}}); err != nil {
			problems = append(problems, err)
		}
	}
	// Stopping the unit deletes the table, unless somebody loaded it by hand.
	if _, err := loaded(ctx); err == nil {
		did = true
		if _, err := run.Do(ctx, run.Command{Argv: []string{"nft", "delete", "table", "inet", filterTable}}); err != nil {
			problems = append(problems, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	for _, unit := range []string{timerUnit, liftUnit, blockUnit} {
		if err := os.Remove(unitPath(unit)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, fmt.Errorf("remove %s: %w", unit, err))
		}
	}
	if _, err := run.Do(ctx, run.Command{Argv: []string{"systemctl", "daemon-reload"}}); err != nil {
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	if !did {
		return incident.Skip("nothing was cut off")
	}
	return c.Changed("opened the network", "")
}

func (s *Server) planVerify(context.Context) ([]string, error) {
	return []string{"look whether the rules are loaded, and who is connected"}, nil
}

// verify sees that the rules are the ones that were loaded, and who is still
// connected. A connection that is cut off stays listed until it times out, so
// that one is told, not a failure.
func (s *Server) verify(ctx context.Context, c *incident.Case) error {
	var b blocked
	if found, err := c.Load("block", &b); err != nil || !found {
		return errors.Join(err, errors.New("the case holds no block"))
	}
	got, err := loaded(ctx)
	if err != nil {
		if !b.Lift.IsZero() && s.now().After(b.Lift) {
			return fmt.Errorf("the block has gone by itself at %s, as it was not confirmed\nhint: rocca respond release, then start a new case", b.Lift.Format("15:04 UTC"))
		}
		return fmt.Errorf("the block is gone, and not by rocca: %w", err)
	}
	for _, hook := range []string{"input", "output", "forward"} {
		if !strings.Contains(string(got.Stdout), "hook "+hook+" priority") || strings.Count(string(got.Stdout), "policy drop;") < 3 {
			return errors.New("the block was changed: its chains do not drop everything")
		}
	}
	if _, err := c.Put("verify/block.nft", "nft list table", got.Stdout); err != nil {
		return err
	}
	connected, err := triage.Connected()
	if err != nil {
		return c.NotTaken("open connections after the cut", err.Error())
	}
	var others []string
	for _, remote := range connected {
		if !slices.ContainsFunc(b.Operator, func(p netip.Prefix) bool { return p.Contains(remote) }) &&
			!slices.ContainsFunc(b.Reach, func(p netip.AddrPort) bool { return p.Addr() == remote }) {
			others = append(others, remote.String())
		}
	}
	if len(others) > 0 {
		return c.Note("cut off, and listed until they time out: connections to " + strings.Join(slices.Compact(others), ", "))
	}
	return c.Note("connected to nobody but the operator")
}
