package report

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"rocca/internal/aws/instance"
)

// TestUnits holds the units against what they name.
func TestUnits(t *testing.T) {
	for _, want := range []string{
		"ExecStart=" + instance.Program + " aws report\n",
		"StateDirectory=" + strings.TrimPrefix(path.Dir(cursorPath), "/var/lib/") + "\n",
	} {
		if !strings.Contains(string(service), want) {
			t.Errorf("the service lacks %q", want)
		}
	}
	if want := "After=" + instance.Unit + "\n"; !strings.Contains(string(timer), want) {
		t.Errorf("the timer lacks %q", want)
	}
}

// TestUnitsAreValid asks systemd itself: an option that it does not know would
// be left out with nothing but a line in the log.
func TestUnitsAreValid(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	dir := t.TempDir()
	here, err := os.Executable() // for the program, which is not installed here
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"rocca-report.service": strings.ReplaceAll(string(service), instance.Program, here),
		Timer:                  string(timer),
		instance.Unit:          "[Service]\nType=oneshot\nExecStart=" + here + "\n[Install]\nWantedBy=multi-user.target\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", filepath.Join(dir, "rocca-report.service"), filepath.Join(dir, Timer)).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
