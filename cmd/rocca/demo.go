package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"rocca/internal/demo"
	"rocca/internal/progress"
	"rocca/internal/run"

	"github.com/spf13/cobra"
)

// childExit is the exit code of a program that was run for the user. What it
// had to say it has said itself: main prints nothing for it and ends with code.
type childExit struct{ code int }

func (e childExit) Error() string { return fmt.Sprintf("exit status %d", e.code) }

func newDemoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Throw-away Debian servers: to try rocca, to rehearse, to attack",
		Long: `Throw-away Debian servers: to try rocca, to rehearse a change, to attack.

Each is a Debian of its own, made by debootstrap from this host's apt mirror and
booted by systemd-nspawn. Its network has no way out; this host reaches its web
server on a port of 127.0.0.1. It is no security boundary: root inside is root
of this host.`,
		Args: cobra.NoArgs,
		RunE: showHelp,
	}
	cmd.AddCommand(newDemoUp(), newDemoExec(), newDemoShell(), newDemoList(), newDemoDown(), newDemoForward())
	return cmd
}

func newDemoUp() *cobra.Command {
	var options demo.Options
	var configFile string
	var attack bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Make and boot a server with rocca's Matomo in it, or a deliberately weak one",
		Long: `Make a throw-away Debian server, boot it and run "rocca up" in it, or boot one
again that was stopped. Its URL, and once its first login, are printed at the end.

A weak server has Matomo as it is often found, for attacks to succeed on:
  stock  Apache with mod_php; www-data owns all code and can change it
  s1     what a common guide for AWS leaves: everybody may write tmp and config
  s2     what a hardening talk advises: PHP pools on TCP ports, open_basedir

With --prove it is attacked at once (rocca prove --demo), and the outcome of the
attacks is what is printed last.

Exit status: 0 the server is up, 2 it is not. What there is of it then stays for
a look; "rocca demo down" removes it. With --prove that of "rocca prove".`,
		Args: cobra.NoArgs,
		Example: `  rocca demo up
  rocca demo up --weak s2 --prove
  rocca demo up --name new --debian 13 --front apache --release matomo-5.3.0.tar.gz
  rocca demo up --name old --weak stock --release /srv/matomo --accept-unsigned`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if attack && options.Bare {
				return errors.New("attack a bare demo server: there is nothing on it\nhint: choose one of --prove and --bare")
			}
			if configFile != "" {
				text, err := os.ReadFile(configFile)
				if err != nil {
					return fmt.Errorf("read the configuration for the demo server: %w", err)
				}
				options.Config = text
			}
			options.NewestRelease = defaultRelease
			started := time.Now()
			tell, end := progress.Open(cmd.OutOrStdout(), false)
			options.Inside = tell
			options.Progress = func(e demo.Event) { tell.Tell(progress.Event{Kind: progress.Note, Text: e.Text}) }
			server, err := demo.Up(cmd.Context(), options)
			end()
			if err != nil {
				return err
			}
			rows := [][2]string{{"URL", server.URL}}
			if server.Login.Name != "" {
				rows = append(rows, [2]string{"Login", server.Login.Name}, [2]string{"Password", server.Login.Password.Reveal() + "   (shown only this once)"})
			}
			kind := "Debian " + server.Debian + ", made in " + time.Since(started).Round(time.Second).String()
			if server.Weak != "" {
				kind += ", deliberately weak (" + server.Weak + ")"
			}
			printCard(cmd.OutOrStdout(), append(rows,
				[2]string{"Server", server.Name + ": " + kind},
				[2]string{"Look", "sudo " + os.Args[0] + " demo shell " + server.Name},
				[2]string{"Remove", "sudo " + os.Args[0] + " demo down " + server.Name}))
			if !attack {
				return nil
			}
			fmt.Fprintln(cmd.OutOrStdout())
			return (&proveFlags{demo: server.Name, twin: twinDemo, format: "text", disturb: server.Weak != ""}).run(cmd)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.Name, "name", "", "name of the server (default: demo, or demo-2 and so on)")
	flags.StringVar(&options.Debian, "debian", "12", "Debian release: 12 or 13")
	flags.StringVar(&options.Release, "release", "", "Matomo: path of an archive or directory, URL, or version (default: the newest known, or a stand-in without a network)")
	flags.BoolVar(&options.AcceptUnsigned, "accept-unsigned", false, "take a release without a signature")
	flags.StringVar(&options.ReleaseKey, "release-key", "", "file with the OpenPGP key of the release, if it is not Matomo's own")
	flags.StringVar(&options.Front, "front", "", "web server: nginx or apache (default: nginx)")
	flags.StringVar(&options.Weak, "weak", "", "a deliberately weak server instead: stock, s1 or s2 (see above)")
	flags.BoolVar(&attack, "prove", false, "attack the server when it is up")
	flags.BoolVar(&options.Bare, "bare", false, "only the booted Debian, nothing installed")
	flags.StringVarP(&configFile, "config", "c", "", "file with further rocca.yaml for the server")
	return cmd
}

func newDemoExec() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec NAME -- COMMAND [ARGUMENT...]",
		Short: "Run a command in a server as its root; input, output and exit code are passed through",
		Long: `Run a command in a server as its root. Input, output and exit code are passed
through.

Exit status: that of the command; 2 when there is no such server.`,
		Args:    cobra.MinimumNArgs(2),
		Example: "  rocca demo exec demo -- systemctl --failed",
		RunE: func(cmd *cobra.Command, args []string) error {
			name, argv := args[0], args[1:]
			if argv[0] == "--" {
				argv = argv[1:]
			}
			if len(argv) == 0 {
				return errors.New("run a command in a demo server: no command is given")
			}
			_, err := demo.Exec(cmd.Context(), name, run.Command{Argv: argv, Inherit: true})
			return passExit(err)
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows NAME belongs to the command
	return cmd
}

func newDemoShell() *cobra.Command {
	return &cobra.Command{
		Use:   "shell NAME",
		Short: "Open a shell in a server as its root",
		Long: `Open a shell in a server as its root. rocca is in its PATH.

Exit status: that of the shell; 2 when there is no such server.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return passExit(demo.Shell(cmd.Context(), args[0]))
		},
	}
}

// passExit turns the failure of a program that had the user's terminal into
// its bare exit code.
func passExit(err error) error {
	var failed *run.Error
	if errors.As(err, &failed) && failed.ExitCode > 0 {
		return childExit{failed.ExitCode}
	}
	return err
}

// listedServer is one server in the output of demo list --json.
type listedServer struct {
	Name      string     `json:"name"`
	State     demo.State `json:"state"`
	URL       string     `json:"url"`
	LeaderPID int        `json:"leader_pid"` // 0: not running
	Root      string     `json:"root"`
	Debian    string     `json:"debian"`
	Weak      string     `json:"weak"`
	Bare      bool       `json:"bare"`
	Twin      string     `json:"twin,omitempty"` // what it is a copy of, without some protection: see rocca prove
}

func newDemoList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the servers",
		Long: `List the servers: name, state (running; stopped: demo up boots it again;
incomplete: being made, or left half-way), kind, Debian release, URL, and, for those that look into it
from this host, the pid of its init (leader) and its root directory.

Exit status: 0 listed, 2 they could not be read.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			servers, err := demo.List()
			if err != nil {
				return err
			}
			listed := []listedServer{}
			for _, s := range servers {
				listed = append(listed, listedServer{s.Name, s.State, s.URL, s.LeaderPID(), s.Root, s.Debian, s.Weak, s.Bare, s.Twin})
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(listed)
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, strings.Join([]string{"NAME", "STATE", "KIND", "DEBIAN", "URL", "LEADER", "ROOT"}, "\t"))
			for _, s := range listed {
				kind := "rocca"
				switch {
				case s.Twin != "":
					kind = "twin of " + s.Twin
				case s.Bare:
					kind = "bare"
				case s.Weak != "":
					kind = "weak " + s.Weak
				}
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", s.Name, s.State, kind, s.Debian, s.URL, s.LeaderPID, s.Root)
			}
			return table.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newDemoDown() *cobra.Command {
	return &cobra.Command{
		Use:   "down NAME",
		Short: "Stop a server and remove everything of it",
		Long: `Stop a server and remove everything of it, without asking.

Exit status: 0 it is gone, or was not there; 2 it could not be removed.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return demo.Down(cmd.Context(), args[0], printProgress(cmd))
		},
	}
}

func newDemoForward() *cobra.Command {
	return &cobra.Command{
		Use:    "forward NAME",
		Short:  "Carry connections to a server until it ends (started by demo up)",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return demo.Forward(cmd.Context(), args[0])
		},
	}
}

// printProgress prints each event on a line of its own, with the time it came.
func printProgress(cmd *cobra.Command) func(demo.Event) {
	return func(e demo.Event) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%7.1fs  %s\n", e.Elapsed.Seconds(), e.Text)
	}
}
