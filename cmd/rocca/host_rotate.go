package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/aws/instance"
	"rocca/internal/aws/instance/boot"
	"rocca/internal/blueprint"
	"rocca/internal/config"
	"rocca/internal/mariadb"
	"rocca/internal/progress"
	"rocca/internal/rotate"
)

func newHostCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:    "host",
		Hidden: true, // of use on an EC2 instance, for rocca aws
		Short:  "What rocca aws does on a server of a deployment",
		Long: `What "rocca aws rotate" and "rocca aws respond" do on a server of a deployment,
one verb at a time. On a server of your own: rocca rotate, rocca respond.`,
		Args: cobra.NoArgs,
		RunE: showHelp,
	}
	cmd.AddCommand(newHostAccountCommand(), newHostPrepareCommand(), newHostSwitchCommand(), newHostRetireCommand(), newHostRepairCommand(), newHostTriageCommand())
	return cmd
}

// hostFlags are the flags of the verbs of a rotation on a host.
type hostFlags struct {
	config   string
	instance string
	version  string
}

func (f *hostFlags) add(cmd *cobra.Command) {
	cmd.Hidden = true
	cmd.Args = cobra.NoArgs
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", config.DefaultPath, "configuration file")
	flags.StringVar(&f.instance, "instance", instance.ConfigPath, "what this instance is for")
	flags.Bool("json", false, "the answer as one JSON object") // which it is without it, too
}

func (f *hostFlags) addVersion(cmd *cobra.Command) {
	f.add(cmd)
	cmd.Flags().StringVar(&f.version, "version", "", "version of the app secret")
	_ = cmd.MarkFlagRequired("version")
}

// host is a session on a host, and what its role may read of AWS.
type host struct {
	*session
	*rotate.Host
	cloud *boot.Host
}

// onHost opens all that a verb needs, and answers what it gives.
func (f *hostFlags) onHost(cmd *cobra.Command, do func(ctx context.Context, h host) (any, error)) error {
	s, err := openSession(cmd, serverFlags{config: f.config})
	if err != nil {
		return err
	}
	tell := progress.Plain(cmd.ErrOrStderr())
	cloud, err := boot.OpenHost(cmd.Context(), boot.Options{Config: f.instance, Tell: tell})
	if err != nil {
		return errors.Join(fmt.Errorf("%w\nhint: on a server of your own: rocca rotate", err), s.Close())
	}
	answer, err := do(cmd.Context(), host{s, s.rotation(tell), cloud})
	if err == nil || errors.Is(err, rotate.ErrSessions) {
		err = errors.Join(f.show(cmd, answer), err)
	}
	return errors.Join(rotated(err), s.Close())
}

// rotated gives the error of a rotation its exit code.
func rotated(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rotate.ErrNotTakenBack):
		return &exitError{exitRollbackFailed, err}
	case errors.Is(err, rotate.ErrSessions):
		return &exitError{exitFindings, err}
	}
	var coded *exitError
	if errors.As(err, &coded) {
		return err
	}
	return &exitError{exitFailed, err}
}

// show writes an answer, as one line of JSON: it is for programs either way.
func (f *hostFlags) show(cmd *cobra.Command, answer any) error {
	text, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("show the answer: %w", err)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), string(text))
	return err
}

// rotation is this machine as a rotation sees it.
func (s *session) rotation(tell progress.Handler) *rotate.Host {
	server := mariadb.Server{}
	if s.config.Database.Remote() {
		server = s.server.Database.Server
	}
	return rotate.New(s.config, server, s.secrets, s.accounts, tell)
}

func newHostAccountCommand() *cobra.Command {
	var flags hostFlags
	cmd := &cobra.Command{
		Use:   "account",
		Short: "Say which slot of database accounts and which version of the secret this host works with",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return errors.New("look what this host works with: only root may\nhint: sudo rocca host account")
			}
			c, err := loadConfig(cmd, flags.config)
			if err != nil {
				return err
			}
			given, err := givenSecrets(c.Secrets)
			if err != nil {
				return err
			}
			accounts, err := knownAccounts(c.Database, given)
			if err != nil {
				return err
			}
			account, err := rotate.New(c, mariadb.Server{}, given, accounts, nil).Account()
			if err != nil {
				return err
			}
			return flags.show(cmd, account)
		},
	}
	flags.add(cmd)
	return cmd
}

func newHostPrepareCommand() *cobra.Command {
	var flags hostFlags
	cmd := &cobra.Command{
		Use:   "prepare",
		Short: "Make the database accounts of a version of the app secret, and try each",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.onHost(cmd, func(ctx context.Context, h host) (any, error) {
				to, err := h.cloud.Secrets(ctx, flags.version)
				if err != nil {
					return nil, err
				}
				return h.Prepare(ctx, to.Secrets, h.cloud.Administrator)
			})
		},
	}
	flags.addVersion(cmd)
	return cmd
}

func newHostSwitchCommand() *cobra.Command {
	var flags hostFlags
	cmd := &cobra.Command{
		Use:   "switch",
		Short: "Work with a version of the app secret, or go on as before",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.onHost(cmd, func(ctx context.Context, h host) (any, error) {
				to, err := h.cloud.Secrets(ctx, flags.version)
				if err != nil {
					return nil, err
				}
				return h.Switch(ctx, to.Secrets)
			})
		},
	}
	flags.addVersion(cmd)
	return cmd
}

func newHostRetireCommand() *cobra.Command {
	var flags hostFlags
	var slot string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "retire",
		Short: "Lock the database accounts of a slot that nobody uses any more",
		Long: `Lock the database accounts of a slot that nobody uses any more.

Exit status: 0 locked, 1 there are sessions of it and nothing was changed.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			old := blueprint.Slot(slot)
			if old != blueprint.SlotA && old != blueprint.SlotB {
				return fmt.Errorf("retire slot %q: it must be %s or %s", slot, blueprint.SlotA, blueprint.SlotB)
			}
			return flags.onHost(cmd, func(ctx context.Context, h host) (any, error) {
				return h.Retire(ctx, old, h.cloud.Administrator, wait)
			})
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&slot, "slot", "", "the slot: a or b")
	cmd.Flags().DurationVar(&wait, "wait", 0, "how long its sessions may take to end")
	_ = cmd.MarkFlagRequired("slot")
	return cmd
}

func newHostRepairCommand() *cobra.Command {
	var flags hostFlags
	cmd := &cobra.Command{
		Use:   "repair",
		Short: "Set the database accounts again as the app secret says, and work with them",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.onHost(cmd, func(ctx context.Context, h host) (any, error) {
				to, err := h.cloud.Secrets(ctx, "")
				if err != nil {
					return nil, err
				}
				return mend(ctx, h.Host, to.Secrets, h.cloud.Administrator)
			})
		},
	}
	flags.add(cmd)
	return cmd
}

// mend sets accounts again and lets this machine work with them.
func mend(ctx context.Context, h *rotate.Host, to blueprint.Secrets, as rotate.Administrator) (rotate.Made, error) {
	made, err := h.Repair(ctx, to, as)
	if err != nil {
		return made, err
	}
	switched, err := h.Switch(ctx, to)
	made.Changed = made.Changed || switched.Changed
	return made, err
}
