package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/prove"
)

// attemptFlags are of the hidden part of prove that runs on each throw-away
// server that is attacked.
type attemptFlags struct {
	look    lookFlags
	only    []string
	without []string
	disturb bool
	tell    bool
}

// newAttemptCommand is what prove runs on a throw-away server: it only attacks
// the machine that it is on, and prints what came of it as JSON.
func newAttemptCommand() *cobra.Command {
	var flags attemptFlags
	cmd := &cobra.Command{
		Use:    "attempt",
		Short:  "Attack this throw-away server, after taking protections away (started by prove)",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := flags.run(cmd)
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(answer)
		},
	}
	flags.look.addServer(cmd)
	cmd.Flags().StringSliceVar(&flags.only, "only", nil, "only these attacks")
	cmd.Flags().StringSliceVar(&flags.without, "without", nil, "protections to take away first")
	cmd.Flags().BoolVar(&flags.disturb, "disturb", false, "also make attacks that disturb")
	cmd.Flags().BoolVar(&flags.tell, "tell", false, "only tell what would be attacked")
	return cmd
}

// told is what is told of a server that is attacked.
type told struct {
	Server  string `json:"server"`
	Subject string `json:"subject"`
	Ours    bool   `json:"ours"` // rocca set it up
}

func (f *attemptFlags) run(cmd *cobra.Command) (any, error) {
	if _, err := os.Stat(prove.ThrowawayMark); err != nil {
		return nil, errors.New("attack this machine: it is no throw-away server\nhint: rocca prove attacks a server that is used, with care")
	}
	attacks, err := prove.Select(f.only)
	if err != nil {
		return nil, err
	}
	protections, err := prove.SelectProtections(f.without)
	if err != nil {
		return nil, err
	}
	if len(protections) > 0 {
		c, err := loadConfig(cmd, f.look.config)
		if err != nil {
			return nil, err
		}
		if err := prove.Weaken(cmd.Context(), c, protections); err != nil {
			return nil, err
		}
	}
	f.look.offline = true // what the front answers is for the attacks to find out
	seen, err := f.look.server(cmd)
	if err != nil {
		return nil, err
	}
	if f.tell {
		return told{seen.OS.Hostname, subject(seen), seen.Rocca.Installed}, nil
	}
	return attackHere(cmd.Context(), seen, attacks, f.disturb, func(model.Attacked) {})
}

// attackHere attacks this machine.
func attackHere(ctx context.Context, seen facts.Server, attacks []prove.Attack, disturb bool, tell func(model.Attacked)) ([]model.Attacked, error) {
	lock, err := takeLock()
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	target, err := prove.Open(ctx, seen)
	if err != nil {
		return nil, err
	}
	all, err := prove.Run(ctx, target, prove.Gentle(attacks, disturb), tell)
	if err := errors.Join(err, target.Close()); err != nil {
		return nil, fmt.Errorf("attack this server: %w", err)
	}
	return all, nil
}
