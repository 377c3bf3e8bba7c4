package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/aws/info"
	"rocca/internal/aws/shell"
	"rocca/internal/aws/stack"
	"rocca/internal/aws/watch"
	"rocca/internal/model"
	"rocca/internal/report"
)

func newAWSWatchCommand() *cobra.Command {
	var flags awsFlags
	var since, every time.Duration
	var follow, asJSON bool
	var failOn string
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Tell what happens around the deployment: secrets read, rights changed, threats",
		Long: `Tell what happened around the deployment, and with --follow what happens: who
but the servers read its secrets, uses of the root user, trail, GuardDuty or
alarms stopped, security groups, routes, rights and keys changed, snapshots and
buckets shared (CloudTrail); connections that were refused (flow logs); threats
that GuardDuty found. It only reads.

CloudTrail tells up to fifteen minutes late. Changes by rocca aws deploy are
told, too. For being told without anybody looking, the deployment has alarms
(monitoring.alarms).

Exit status: 0 nothing of the chosen severity, 1 something, 2 usage or
credentials, 3 a source could not be seen.`,
		Example: "  rocca aws watch\n  rocca aws watch --since 720h --json\n  rocca aws watch --follow",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			least, err := readFailOn(failOn)
			if err != nil {
				return err
			}
			if every < time.Second {
				return fmt.Errorf("read --every: it must be at least a second, not %s", every)
			}
			wanted, cloud, err := flags.load(cmd.Context())
			if err != nil {
				return err
			}
			deployed, err := info.Of(cmd.Context(), cloud, wanted)
			if err != nil {
				return err
			}
			if len(deployed.Stacks) == 0 {
				return fmt.Errorf("watch %s: there is no such deployment in %s\nhint: rocca aws deploy", wanted.Name, wanted.Region)
			}
			target := watch.Target{
				Deployment: wanted.Name, Network: wanted.Network.CIDR,
				HostRole: deployed.Output(stack.Base, "HostRoleArn"), FlowLogs: deployed.Output(stack.Base, "FlowLogs"),
				Resources: func(id string) bool {
					return strings.Contains(id, wanted.Name) || slices.ContainsFunc(deployed.Instances, func(i shell.Instance) bool { return i.ID == id })
				},
			}
			w := watcher{out: cmd.OutOrStdout(), errors: cmd.ErrOrStderr(), json: asJSON}
			if follow {
				ticker := time.NewTicker(every)
				defer ticker.Stop()
				err = watch.Follow(cmd.Context(), cloud, target, time.Now().Add(-since), ticker.C, w.tell)
			} else {
				var found []watch.Finding
				var unseen error
				if found, unseen = watch.Once(cmd.Context(), cloud, target, time.Now().Add(-since)); context.Cause(cmd.Context()) != nil {
					return context.Cause(cmd.Context())
				}
				err = w.tell(found, unseen)
			}
			switch {
			case err != nil:
				return err
			case w.worst >= least:
				return &exitError{code: exitFindings}
			case w.unseen:
				return &exitError{code: exitUnseen}
			case w.told == 0 && !asJSON:
				fmt.Fprintf(cmd.OutOrStdout(), "nothing in the last %s\n", since)
			}
			return nil
		},
	}
	flags.add(cmd)
	cmd.Flags().DurationVar(&since, "since", 24*time.Hour, "how far to look back; CloudTrail keeps 90 days (2160h)")
	cmd.Flags().BoolVar(&follow, "follow", false, "go on until interrupted")
	cmd.Flags().DurationVar(&every, "every", time.Minute, "with --follow: pause between two looks")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one finding on a line")
	addFailOn(cmd, &failOn, "high")
	return cmd
}

// watcher writes what is found, and remembers the worst.
type watcher struct {
	out, errors io.Writer
	json        bool
	worst       model.Severity
	told        int
	unseen      bool
}

func (w *watcher) tell(found []watch.Finding, problem error) error {
	for _, f := range found {
		w.worst = max(w.worst, f.Severity)
		w.told++
		if err := w.write(f); err != nil {
			return err
		}
	}
	if problem != nil {
		w.unseen = true
		_, err := fmt.Fprintf(w.errors, "warning: %v\n", problem)
		return err
	}
	return nil
}

func (w *watcher) write(f watch.Finding) error {
	if w.json {
		return json.NewEncoder(w.out).Encode(f)
	}
	line := fmt.Sprintf("%s  %-8s  %s: %s", f.At.Format("2006-01-02 15:04:05Z"), f.Severity, f.Kind, f.What)
	for _, part := range []struct{ word, text string }{{"on", f.Resource}, {"by", f.Who}, {"from", f.From}} {
		if part.text != "" {
			line += " " + part.word + " " + part.text
		}
	}
	_, err := fmt.Fprintln(w.out, report.Clean(line))
	if err != nil {
		return errors.Join(errors.New("write what was found"), err)
	}
	return nil
}
