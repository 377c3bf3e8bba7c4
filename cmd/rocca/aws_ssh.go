package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"rocca/internal/aws/client"
	"rocca/internal/aws/info"
	"rocca/internal/aws/shell"
	"rocca/internal/aws/stack"
)

func newAWSSSHCommand() *cobra.Command {
	var flags awsFlags
	var instance, legacy string
	var connect bool
	cmd := &cobra.Command{
		Use:   "ssh [-- SSH-ARGUMENT...]",
		Short: "Open a session on a server, with no key that stays anywhere",
		Long: `Open a session on a server of the deployment. No port is open for it, and no key
stays anywhere.

Without a flag it goes through Session Manager, which needs the SSM agent on
the server (instance.agent) and AWS's session-manager-plugin here. With
--connect it is SSH through the endpoint of EC2 Instance Connect, with a key
that the server lets in for sixty seconds and that only this process has. The
server's own keys are read from its console, so that nobody can step between.

--legacy-key NAME uses the key of the AWS guide instead, the SecureString
/matomo/ec2/private-key/NAME. It is made when it is not there. Operators may
read it, the servers may not.`,
		Example: "  rocca aws ssh\n  rocca aws ssh --connect -- sudo rocca status",
		RunE: func(cmd *cobra.Command, arguments []string) error {
			wanted, cloud, err := flags.load(cmd.Context())
			if err != nil {
				return err
			}
			deployed, err := info.Of(cmd.Context(), cloud, wanted)
			if err != nil {
				return err
			}
			target, err := shell.Pick(deployed.Instances, instance)
			if err != nil {
				return err
			}
			if !connect && legacy == "" {
				if len(arguments) > 0 {
					return errors.New("open a session: arguments are for ssh\nhint: --connect")
				}
				return shell.Manager(cmd.Context(), cloud, target, deployed.Output(stack.Base, "SessionDocument"))
			}
			key, err := sessionKey(cmd.Context(), cloud, deployed, legacy)
			if err != nil {
				return err
			}
			proxy, err := tunnelCommand(flags, target.ID)
			if err != nil {
				return err
			}
			return shell.Connect(cmd.Context(), cloud, target, key, proxy, arguments)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&instance, "instance", "", "id of the server, when there are several")
	cmd.Flags().BoolVar(&connect, "connect", false, "SSH through the endpoint of EC2 Instance Connect")
	cmd.Flags().StringVar(&legacy, "legacy-key", "", "SSH with the key /matomo/ec2/private-key/NAME")
	return cmd
}

// sessionKey is the guide's key of that name, or one for this session only.
func sessionKey(ctx context.Context, cloud client.Config, deployed info.Deployment, legacy string) (crypto.Signer, error) {
	if legacy == "" {
		return shell.NewKey()
	}
	encryption := deployed.Output(stack.Base, "Key")
	if encryption == "" {
		return nil, fmt.Errorf("read the key %s: %s has no stack with a key to encrypt it\nhint: rocca aws deploy", legacy, deployed.Name)
	}
	return shell.LegacyKey(ctx, cloud, legacy, encryption, deployed.Name)
}

// tunnelCommand is this program, as ssh starts it to reach port 22.
func tunnelCommand(flags awsFlags, instance string) ([]string, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("open a tunnel: %w", err)
	}
	config, err := filepath.Abs(flags.config)
	if err != nil {
		return nil, fmt.Errorf("open a tunnel: %w", err)
	}
	argv := []string{program, "aws", "tunnel", "--config", config, "--instance", instance}
	if flags.profile != "" {
		argv = append(argv, "--aws-profile", flags.profile)
	}
	return argv, nil
}

func newAWSTunnelCommand() *cobra.Command {
	var flags awsFlags
	var instance string
	cmd := &cobra.Command{
		Use:    "tunnel",
		Short:  "Connect standard input and output with port 22 of a server",
		Hidden: true, // rocca aws ssh gives it to ssh
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted, cloud, err := flags.load(cmd.Context())
			if err != nil {
				return err
			}
			all, err := shell.Instances(cmd.Context(), cloud, wanted.Name)
			if err != nil {
				return err
			}
			target, err := shell.Pick(all, instance)
			if err != nil {
				return err
			}
			return shell.Tunnel(cmd.Context(), cloud, target, shell.SSH, struct {
				io.Reader
				io.Writer
			}{cmd.InOrStdin(), cmd.OutOrStdout()})
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&instance, "instance", "", "id of the server")
	return cmd
}
