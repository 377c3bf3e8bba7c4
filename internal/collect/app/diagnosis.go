package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/run"
)

// diagnosisLimit ends a diagnosis that hangs, as one does that asks a host that
// does not answer.
const diagnosisLimit = 2 * time.Minute

// Diagnose runs Matomo's own system check as the user of its first context. It
// is the one thing here that runs Matomo's code, so it is done when asked only.
// From the command line Matomo cannot tell whether its private directories can
// be fetched, and says that they cannot: that is left out.
func Diagnose(ctx context.Context, m facts.Matomo) (facts.Diagnosis, error) {
	main := m.Main()
	account, err := user.Lookup(main.User)
	if err != nil {
		return facts.Diagnosis{}, fmt.Errorf("run Matomo's diagnostics: %w", err)
	}
	if account.Uid == "0" {
		return facts.Diagnosis{}, errors.New("run Matomo's diagnostics: its PHP runs as root, and rocca starts no code of others as root")
	}
	ctx, cancel := context.WithTimeout(ctx, diagnosisLimit)
	defer cancel()
	result, err := run.Do(ctx, run.Command{
		Argv: []string{"setpriv", "--reuid=" + account.Uid, "--regid=" + account.Gid, "--init-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all",
			"php", filepath.Join(m.Real, "console"), "--no-ansi", "--no-interaction", "diagnostics:run"},
		Env: []string{"MATOMO_DATA=" + main.Data, "HOME=/nonexistent"},
		Dir: m.Real,
	})
	var failed *run.Error
	if errors.As(err, &failed) && failed.ExitCode == 1 && bytes.Contains(result.Stdout, []byte("errors detected")) {
		err = nil // it found errors
	}
	if err != nil {
		return facts.Diagnosis{}, fmt.Errorf("run Matomo's diagnostics: %w", err)
	}
	return parseDiagnosis(result.Stdout), nil
}

// parseDiagnosis reads what diagnostics:run prints: "Label: WARNING text", or
// "Label:" with a line "\t- WARNING text" for each part.
func parseDiagnosis(output []byte) facts.Diagnosis {
	var d facts.Diagnosis
	label := ""
	for raw := range bytes.Lines(output) {
		line := strings.ToValidUTF8(strings.TrimRight(string(raw), "\r\n"), "�")
		item, part := strings.CutPrefix(line, "\t- ")
		if !part {
			name, rest, labelled := strings.Cut(line, ": ")
			switch {
			case strings.HasSuffix(line, ":"):
				label = strings.TrimSuffix(line, ":")
				continue
			case !labelled:
				continue
			}
			label, item = name, rest
		}
		status, text, _ := strings.Cut(item, " ")
		text = label + ": " + html.UnescapeString(text)
		text = strings.ToValidUTF8(text[:min(len(text), 500)], "")
		switch {
		case strings.Contains(label, "Private Directories"):
		case status == "ERROR":
			d.Errors = append(d.Errors, text)
		case status == "WARNING":
			d.Warnings = append(d.Warnings, text)
		}
	}
	return d
}
