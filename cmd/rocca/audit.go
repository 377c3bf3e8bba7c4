package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"rocca/internal/control"
	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/report"
)

type auditFlags struct {
	look     lookFlags
	report   reportFlags
	baseline string
}

func newAuditCommand() *cobra.Command {
	var flags auditFlags
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Check this server against all controls, and report",
		Long: `Look at this server, evaluate every control, and report what is not as it
should be, with the evidence and the fix. Nothing is changed. Requests go to
this machine's own address, and to pages that tracked_pages in the
configuration names; with --offline there are none.

It works on any Debian with a Matomo, also one that rocca did not set up. What
could not be seen is unknown, and never passes: run it as root to see all.

Exit status: 0 no finding of the chosen severity, 1 findings, 2 usage, 3 no
such finding, but something could not be seen, 10 no Matomo here.`,
		Example: `  rocca audit
  rocca audit --format html -o report.html
  rocca audit --only FS,ISO-03 --fail-on high
  rocca audit --format json -o today.json --baseline yesterday.json
  rocca facts -o facts.json; rocca audit --facts facts.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return flags.run(cmd) },
	}
	f := cmd.Flags()
	flags.look.add(cmd)
	flags.report.add(cmd, "all")
	f.StringVar(&flags.baseline, "baseline", "", "earlier report (JSON): tell what is new and what is fixed")
	return cmd
}

func (f *auditFlags) run(cmd *cobra.Command) error {
	judge, err := f.report.read(cmd, control.OfServer())
	if err != nil {
		return err
	}
	server, err := f.look.server(cmd)
	if err != nil {
		return err
	}
	r := newReport(control.See(server), judge.controls)
	if f.baseline != "" {
		if err := f.compare(&r); err != nil {
			return err
		}
	}
	return judge.tell(cmd, r)
}

// newReport audits a server.
func newReport(view *control.View, controls []control.Control) model.Report {
	findings, picture := view.Audit(controls), view.Reach.Picture()
	return model.Report{
		Version: report.Version, Tool: "rocca " + version(), Server: view.OS.Hostname, Subject: subject(view.Server),
		Observed: view.Observed, Findings: findings, Summary: model.Summarise(findings), Picture: &picture,
	}
}

// subject names what was looked at.
func subject(server facts.Server) string {
	parts := []string{strings.TrimSpace("Matomo " + server.Matomo.Version)}
	if server.Matomo.Root != "" {
		parts[0] += " in " + server.Matomo.Root
	}
	if server.Front.Program != "" {
		parts = append(parts, strings.TrimSpace(server.Front.Program+" "+server.Front.Version))
	}
	if server.PHP.Branch != "" {
		parts = append(parts, "PHP "+server.PHP.Branch)
	}
	if server.Database.Version != "" {
		parts = append(parts, server.Database.Version)
	}
	if server.OS.ID != "" {
		parts = append(parts, strings.TrimSpace(server.OS.ID+" "+server.OS.Version))
	}
	return strings.Join(parts, ", ")
}

func (f *auditFlags) compare(r *model.Report) error {
	file, err := openInput(f.baseline)
	if err != nil {
		return fmt.Errorf("read the baseline: %w", err)
	}
	defer file.Close()
	before, err := report.ReadJSON(file)
	if err != nil {
		return fmt.Errorf("read the baseline %s: %w", f.baseline, err)
	}
	r.Changes = model.Compare(*r, before)
	return nil
}

// terminalStyle marks text with colours where they are seen and wanted
// (no-color.org).
func terminalStyle(out io.Writer, style report.Style) report.Style {
	file, isFile := out.(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) {
		return style
	}
	style.Colour = os.Getenv("NO_COLOR") == ""
	if width, _, err := term.GetSize(int(file.Fd())); err == nil {
		style.Width = max(60, width)
	}
	return style
}
