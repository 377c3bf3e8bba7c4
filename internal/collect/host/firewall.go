package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/run"
)

// firewall reads the packet filter with the program that is installed for it.
func firewall(ctx context.Context, root Root, n names, units map[string]facts.Unit) (facts.Firewall, error) {
	var f facts.Firewall
	f.Unit = loadsRules(units)
	f.Persistent = f.Unit != ""
	if !root.live() {
		return f, fmt.Errorf("list the packet filter: %s is not the running system", root)
	}
	problem := legacyTables(root)
	if _, err := run.Look("nft"); err == nil {
		f.Program = "nft"
		var text run.Result
		result, err := run.Do(ctx, run.Command{Argv: []string{"nft", "--json", "list", "ruleset"}})
		if err == nil {
			text, err = run.Do(ctx, run.Command{Argv: []string{"nft", "--handle", "list", "ruleset"}})
		}
		if err == nil {
			f.Chains, err = parseNft(result.Stdout, string(text.Stdout), n)
		} else if os.Geteuid() != 0 {
			err = onlyRoot("list the packet filter")
		}
		return f, errors.Join(err, problem)
	}
	for _, save := range []struct{ program, family string }{{"iptables-save", "ip"}, {"ip6tables-save", "ip6"}} {
		if _, err := run.Look(save.program); err != nil {
			continue
		}
		f.Program = "iptables"
		result, err := run.Do(ctx, run.Command{Argv: []string{save.program, "-t", "filter"}})
		if err != nil && os.Geteuid() != 0 {
			return f, onlyRoot("list the packet filter")
		}
		if err != nil {
			return f, fmt.Errorf("list the packet filter: %w", err)
		}
		f.Chains = append(f.Chains, parseIptables(string(result.Stdout), save.family, n)...)
	}
	if f.Program == "iptables" {
		return f, nil // it reads the older tables too
	}
	return f, problem
}

// legacyTables says when the kernel has rules of the older iptables, that nft
// does not list.
func legacyTables(root Root) error {
	var found []string
	for _, table := range []string{"ip_tables_names", "ip6_tables_names"} {
		content, err := root.proc("net/" + table)
		if errors.Is(err, fs.ErrPermission) {
			return onlyRoot("list the packet filter")
		}
		if err == nil && strings.TrimSpace(content) != "" {
			found = append(found, strings.Fields(content)...)
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.Sort(found)
	return fmt.Errorf("list the packet filter: the kernel has older tables that could not be read (%s)\nhint: iptables-legacy-save shows them", strings.Join(slices.Compact(found), ", "))
}

// ruleLoaders are programs that load rules.
var ruleLoaders = []string{"nft", "iptables-restore", "ip6tables-restore", "netfilter-persistent", "ufw-init", "firewalld"}

// loadsRules finds the unit that loads rules at boot; one that failed does not.
func loadsRules(units map[string]facts.Unit) string {
	for _, name := range slices.Sorted(maps.Keys(units)) {
		if !units[name].Enabled || units[name].Failed {
			continue
		}
		for _, e := range units[name].Exec {
			loads := slices.Contains(ruleLoaders, path.Base(e.Path)) || len(e.Args) > 0 && slices.Contains(ruleLoaders, path.Base(e.Args[0]))
			if e.When == "ExecStart" && loads {
				return name
			}
		}
	}
	return ""
}

// Bounds of following one chain into others.
const (
	jumpDepth = 16      // the kernel's own
	stepsMax  = 100_000 // chains that jump to chains grow without bounds
)

// step is a rule of a chain before jumps are followed.
type step struct {
	rule facts.Rule
	jump string // chain that it goes to
	last bool   // goto: what follows in this chain is not for these packets
}

// unroll follows jumps: rules of other chains get the conditions of the jump.
func unroll(chains map[string][]step, name string) []facts.Rule {
	u := unroller{chains: chains}
	u.walk(name, facts.Rule{}, 0)
	return u.rules
}

type unroller struct {
	chains map[string][]step
	rules  []facts.Rule
	steps  int
}

func (u *unroller) walk(name string, from facts.Rule, depth int) {
	returned := false // some packets have left this chain
	for _, s := range u.chains[name] {
		if u.steps++; u.steps > stepsMax || depth > jumpDepth {
			return
		}
		rule := narrow(s.rule, from)
		rule.Partial = rule.Partial || returned
		switch {
		case s.jump != "":
			u.walk(s.jump, rule, depth+1)
			if s.last && unconditional(s.rule) {
				return
			}
			returned = returned || s.last
		case s.rule.Verdict == "return":
			if unconditional(s.rule) {
				return
			}
			returned = true
		default:
			u.rules = append(u.rules, rule)
		}
	}
}

// narrow adds the conditions of the jump that led to a rule. Where both name
// the same thing, the rule's own are kept, and it is said that they hold for less.
func narrow(rule, from facts.Rule) facts.Rule {
	rule.Partial = rule.Partial || from.Partial
	list := func(own *[]string, of []string) {
		if len(*own) == 0 {
			*own = of
		} else if len(of) > 0 && !slices.Equal(*own, of) {
			rule.Partial = true
		}
	}
	word := func(own *string, of string) {
		if *own == "" {
			*own = of
		} else if of != "" && *own != of {
			rule.Partial = true
		}
	}
	word(&rule.Protocol, from.Protocol)
	word(&rule.In, from.In)
	word(&rule.Out, from.Out)
	list(&rule.Ports, from.Ports)
	list(&rule.Sources, from.Sources)
	list(&rule.Targets, from.Targets)
	list(&rule.Users, from.Users)
	list(&rule.States, from.States)
	return rule
}

// unconditional tells whether a rule holds for every packet.
func unconditional(r facts.Rule) bool {
	return !r.Partial && r.Protocol == "" && r.In == "" && r.Out == "" &&
		len(r.Ports)+len(r.Sources)+len(r.Targets)+len(r.Users)+len(r.States) == 0
}
