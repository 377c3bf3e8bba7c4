package prove

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestReadingMethods(t *testing.T) {
	plugins := t.TempDir()
	for plugin, content := range map[string]string{
		"Live":       "<?php\nclass API\n{\n    public function getCounters($idSite)\n    {\n    }\n    private function getSecret()\n    public function deleteAll()\n    public static function getInstance()\n",
		"Goals":      "<?php\nclass API\n{\n    public function get($idSite)\n",
		"API":        "<?php\nclass API\n{\n    public function getBulkRequest($urls)\n    public function isPluginActivated($name)\n",
		"ImageGraph": "<?php\nclass API\n{\n    public function get($idSite)\n",
	} {
		if err := os.MkdirAll(filepath.Join(plugins, plugin), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(plugins, plugin, "API.php"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readingMethods(plugins)
	if want := []string{"API.isPluginActivated", "Goals.get", "Live.getCounters"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("found %v, %v; want %v", got, err, want)
	}
}

func TestEmptyAnswer(t *testing.T) {
	for body, empty := range map[string]bool{"[]": true, `{"value":false}`: true, " {}\n": true, `{"value":"5.3.0"}`: false, `[{"idsite":1}]`: false} {
		if emptyAnswer([]byte(body)) != empty {
			t.Errorf("%s: empty is %v", body, !empty)
		}
	}
}
