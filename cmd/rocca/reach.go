package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"rocca/internal/picture"
	"rocca/internal/reach"
)

func newReachCommand() *cobra.Command {
	var look lookFlags
	var from, to, format, output string
	cmd := &cobra.Command{
		Use:   "reach",
		Short: "Tell who can read, replace or become what, hop by hop",
		Long: `Answer "what if this part is broken into?": who can read, replace or become
what on this server, with the shortest way printed hop by hop. Users, groups,
ACLs, directories above, sockets, ports, services, jobs and database rights all
count. Nothing is changed or tried.

Without --from and --to it lists every principal that reaches a secret or the
code of Matomo and should not.

  --from  a Unix user, a unit (x.service) or an application (its pool)
  --to    a file, "secret", "database", or "become USER"

Exit status: 0 nothing is reached, 1 something is, 2 usage, 10 no Matomo here.`,
		Example: `  rocca reach
  rocca reach --from app2
  rocca reach --from www-data --to /var/lib/matomo/config/config.ini.php
  rocca reach --format svg -o reach.svg`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			write, err := pathsIn(format)
			if err != nil {
				return err
			}
			look.offline = true // the graph is about rights, not about answers
			server, err := look.server(cmd)
			if err != nil {
				return err
			}
			paths, err := reach.New(server).Ask(from, to)
			if err != nil {
				return err
			}
			var out bytes.Buffer
			if err := write(&out, paths); err != nil {
				return err
			}
			if err := deliver(cmd, output, out.Bytes()); err != nil {
				return err
			}
			if len(paths) > 0 {
				return &exitError{code: exitFindings}
			}
			return nil
		},
	}
	f := cmd.Flags()
	look.add(cmd)
	f.StringVar(&from, "from", "", "who is broken into: a user, unit or application")
	f.StringVar(&to, "to", "", `what is reached: a file, secret, database, or "become USER"`)
	f.StringVar(&format, "format", "text", "text, json, dot or svg")
	f.StringVarP(&output, "output", "o", "", "write to this file")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json", "dot", "svg"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// pathsIn finds how ways are written in a format.
func pathsIn(format string) (func(io.Writer, []reach.Path) error, error) {
	switch format {
	case "text":
		return reach.WriteText, nil
	case "json":
		return writePathsAsJSON, nil
	case "dot":
		return reach.WriteDOT, nil
	case "svg":
		return func(w io.Writer, paths []reach.Path) error { return picture.Write(w, reach.Drawing(paths)) }, nil
	}
	return nil, fmt.Errorf("show ways as %q: no such format\nhint: text, json, dot or svg", format)
}

func writePathsAsJSON(w io.Writer, paths []reach.Path) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(struct {
		Version int          `json:"version"`
		Paths   []reach.Path `json:"paths"`
	}{1, paths})
}
