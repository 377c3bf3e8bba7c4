package main

import (
	"context"
	"errors"
	"fmt"
	"log/syslog"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/aws/instance/keys"
)

// keysPatience is how long a login may wait for the instance metadata.
const keysPatience = 10 * time.Second

func newAWSKeysCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "keys USER",
		Hidden: true, // the SSH server of an EC2 instance asks it
		Short:  "Tell the SSH server which keys EC2 Instance Connect let in",
		Long: `Tell the SSH server of this EC2 instance which keys EC2 Instance Connect let in
for a user: each is good for sixty seconds, was asked for by somebody with the
right ec2-instance-connect:SendSSHPublicKey, and is signed by AWS. Who let a key
in is written to the system log. "rocca aws ssh" makes such keys.

Exit status: 0 looked, 2 the instance metadata could not be asked or believed.`,
		Example: "  AuthorizedKeysCommand /usr/local/sbin/rocca aws keys %u",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), keysPatience, errors.New("the instance metadata do not answer"))
			defer cancel()
			active, err := keys.Active(ctx, keys.OfThisInstance(), args[0], nil, time.Now())
			if err != nil {
				return err
			}
			for _, k := range active {
				recordKey(args[0], k)
				fmt.Fprintln(cmd.OutOrStdout(), k.Line)
			}
			return nil
		},
	}
}

// recordKey writes who let a key in to the system log. Where there is none, a
// login goes on without it: sshd records it, too.
func recordKey(user string, k keys.Key) {
	log, err := syslog.New(syslog.LOG_AUTHPRIV|syslog.LOG_INFO, "rocca")
	if err != nil {
		return
	}
	defer func() { _ = log.Close() }() // nothing is lost with it
	_ = log.Info(fmt.Sprintf("EC2 Instance Connect let in a key for %s: by %s, request %s", user, k.Caller, k.Request))
}
