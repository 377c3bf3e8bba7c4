// Command rocca gives its owner a Matomo that stays standing when a part of it
// is broken into.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	// rocca runs for a moment: it rather takes more memory than time to tidy up.
	debug.SetGCPercent(400)
	os.Exit(runProgram(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes, as documented in docs/exit-codes.md.
const (
	exitClean          = 0
	exitFindings       = 1 // or changes pending
	exitUsage          = 2
	exitUnseen         = 3 // something could not be seen
	exitFell           = 4 // an attack succeeded
	exitFailed         = 5 // a change failed and was rolled back
	exitRollbackFailed = 6
	exitNoMatomo       = 10
	exitLocked         = 11
)

// exitError is an error that decides the exit code. One without a cause has
// been told already.
type exitError struct {
	code  int
	cause error
}

func (e *exitError) Error() string {
	if e.cause == nil {
		return ""
	}
	return e.cause.Error()
}
func (e *exitError) Unwrap() error { return e.cause }

// runProgram is the whole program: arguments and streams in, exit code out.
func runProgram(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := interruptible()
	defer stop()
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitClean
	}
	var child childExit
	if errors.As(err, &child) {
		return child.code
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(stderr, "rocca: "+strings.ReplaceAll(text, "\n", "\n  "))
	}
	var coded *exitError
	if errors.As(err, &coded) {
		return coded.code
	}
	return exitUsage
}

// interruptible is a context that ends, with a cause fit to be shown, when the
// user or the system asks this program to stop.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		for s := range signals {
			cancel(fmt.Errorf("interrupted (%v)", s))
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel(nil)
	}
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "rocca",
		Short: "A Matomo that stays standing when a part of it is broken into",
		Long: `rocca gives its owner a Matomo (web analytics) on a Debian server that stays
standing when a part of it is broken into: every part runs as a user of its
own, sees only its own files, and can be reached only by who needs it.

Start with "rocca demo up" (a throw-away server), then "rocca plan" and
"rocca up" on the real one.`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(newUpCommand(), newPlanCommand(), newUndoCommand(), newStatusCommand(), newRunsCommand(),
		newAuditCommand(), newReachCommand(), newSurfaceCommand(), newFixCommand(), newExplainCommand(), newControlsCommand(), newFactsCommand(),
		newProveCommand(), newRotateCommand(), newRespondCommand(), newHostCommand(), newConfigCommand(), newDemoCommand(), newAWSCommand(), newDocsCommand())
	return root
}

// showHelp is what a command does that only groups others. Without it an
// unknown verb would get help and the exit code 0.
func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// version is that of the module, or the commit of a local build.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
			return setting.Value[:12]
		}
	}
	return info.Main.Version
}
