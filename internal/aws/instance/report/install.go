package report

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path"

	"rocca/internal/run"
)

//go:embed rocca-report.service
var service []byte

//go:embed rocca-report.timer
var timer []byte

// Timer is the unit that begins reports.
const Timer = "rocca-report.timer"

const unitDir = "/etc/systemd/system"

// Install makes the units that report, and lets them begin as soon as this boot
// is through.
func Install(ctx context.Context) error {
	for name, text := range map[string][]byte{"rocca-report.service": service, Timer: timer} {
		if err := os.WriteFile(path.Join(unitDir, name), text, 0o644); err != nil {
			return fmt.Errorf("install the units that report: %w", err)
		}
	}
	for _, argv := range [][]string{
		{"systemctl", "daemon-reload"},
		{"systemctl", "enable", "--quiet", "--now", "--no-block", Timer},
	} {
		if _, err := run.Do(ctx, run.Command{Argv: argv}); err != nil {
			return fmt.Errorf("install the units that report: %w", err)
		}
	}
	return nil
}
