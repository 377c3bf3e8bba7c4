package prove

import (
	"os"
	"path/filepath"
	"testing"

	"rocca/internal/matomo/release"
)

// TestOffersAreRefusedForTheirFault opens each release as the updater does. The
// one that has no fault but its age must be opened.
func TestOffersAreRefusedForTheirFault(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:9") // nothing is looked for outside
	offers, err := offersOf("5.3.0")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range offers {
		dir := t.TempDir()
		name := filepath.Join(dir, "matomo.tar.gz")
		for file, content := range map[string][]byte{name: o.archive, name + ".asc": o.signature, filepath.Join(dir, "signature.asc"): o.key} {
			if content == nil {
				continue
			}
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		opened, err := release.Open(t.Context(), release.Source{Path: name}, release.Options{Keys: o.pin})
		switch {
		case err == nil:
			if err := opened.Close(); err != nil {
				t.Error(err)
			}
			if o.refusals[0] != "does not change versions" {
				t.Errorf("%s: accepted", o.what)
			}
		case !refusedFor(err.Error(), o.refusals):
			t.Errorf("%s: refused for another reason: %v", o.what, err)
		}
	}
}
