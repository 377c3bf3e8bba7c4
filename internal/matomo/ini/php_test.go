package ini

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// phpReader reads a JSON list of files from its input and prints what Matomo
// gets out of each: null, or [section, [[key, value or [[item, value], ...]], ...]]
// pairs. Like Matomo it parses a file twice, as only the raw form tells a
// boolean from a string.
const phpReader = `
$read = function ($value, $raw) {
	if ($value === "1" && in_array($raw, ["true", "yes", "on"], true)) return "1";
	if ($value === "" && in_array($raw, ["false", "no", "off"], true)) return "0";
	return html_entity_decode($value, ENT_COMPAT, "UTF-8");
};
$out = [];
foreach (json_decode(stream_get_contents(STDIN)) as $text) {
	$text = base64_decode($text);
	$file = @parse_ini_string($text . "\n", true);
	$raw = @parse_ini_string($text . "\n", true, INI_SCANNER_RAW) ?: $file;
	if ($file === false) { $out[] = null; continue; }
	$sections = [];
	foreach ($file as $section => $settings) {
		$pairs = [];
		foreach ((array) $settings as $key => $value) {
			if (!is_array($value)) { $pairs[] = [(string) $key, base64_encode($read($value, $raw[$section][$key] ?? null))]; continue; }
			$items = [];
			$rawItems = is_array($raw[$section][$key] ?? null) ? $raw[$section][$key] : [];
			foreach ($value as $item => $v) $items[] = [is_int($item) ? "" : $item, base64_encode($read($v, $rawItems[$item] ?? null))];
			$pairs[] = [(string) $key, $items];
		}
		if ($pairs) $sections[] = [(string) $section, $pairs];
	}
	$out[] = $sections;
}
echo json_encode($out, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES);`

// TestPHPReadsTheSame lets PHP read what Parse accepts, and what Encode wrote.
func TestPHPReadsTheSame(t *testing.T) {
	if _, err := exec.LookPath("php"); err != nil {
		t.Skip("no php here")
	}
	texts := []string{}
	multiline := map[string]bool{} // texts that may have a value on several lines
	for _, test := range accepted {
		texts = append(texts, "[S]\n"+test.text+"\n")
	}
	for _, value := range hostileValues {
		var f File
		f.Set("S", "a", value)
		f.SetList("S", "b", []string{value, "x"})
		f.Set("S", "z", value)
		texts = append(texts, encode(t, f))
	}
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	keys := []string{"a", "b", "a[]", "b[]", "a[k]", "a[3]", "[T]\nc", " d.e-f_", "null"}
	quotes := []string{"", "\"", "'"}
	pieces := append(strings.Split("a b = \" ' \\ \\ ; # [ ] [] $ { } & | ( ! ^ &amp; &#36; &eacute; &#39; &#10; true no off null none 1 -5 007 . , : / ? * < é @", " "),
		" ", "\t", "\n", "\r", "\r\n", "\"\n", "\n[T]\n", "${x}")
	for range 50000 {
		text, broken := "[S]\n", false
		for range 1 + random.IntN(4) {
			quote := pick(quotes)
			text += pick(keys) + " = " + quote
			for range random.IntN(4) {
				piece := pick(pieces)
				broken = broken || strings.ContainsAny(piece, "\r\n")
				text += piece
			}
			text += quote + "\n"
		}
		multiline[text] = broken
		texts = append(texts, text)
	}

	answers := askPHP(t, texts)
	compared := 0
	for i, text := range texts {
		f, err := Parse([]byte(text))
		if err != nil {
			continue
		}
		if string(answers[i]) == "null" {
			t.Errorf("%q is accepted as %v, but PHP refuses it", text, f)
			continue
		}
		compared++
		got, err := json.Marshal(asPairs(f))
		if err != nil {
			t.Fatal(err)
		}
		// With a value on several lines PHP's raw form is wrong or missing, and
		// Matomo takes false for the empty string: no difference to its code.
		same := strings.NewReplacer()
		if multiline[text] {
			same = strings.NewReplacer(`"MA=="`, `""`)
		}
		if diff := cmp.Diff(same.Replace(string(answers[i])), same.Replace(string(got))); diff != "" {
			t.Errorf("%q (-PHP +got):\n%s", text, diff)
		}
	}
	t.Logf("%d of %d texts are accepted, and PHP reads them the same", compared, len(texts))
	if compared < 10000 {
		t.Errorf("only %d texts were compared: the generator has gone stale", compared)
	}
}

func askPHP(t *testing.T, texts []string) []json.RawMessage {
	t.Helper()
	encoded := make([][]byte, len(texts)) // JSON turns []byte into base64
	for i, text := range texts {
		encoded[i] = []byte(text)
	}
	input, err := json.Marshal(encoded)
	if err != nil {
		t.Fatal(err)
	}
	php := exec.Command("php", "-n", "-d", "memory_limit=1G", "-d", "display_errors=stderr", "-r", phpReader)
	php.Stderr = os.Stderr
	php.Stdin = bytes.NewReader(input)
	output, err := php.Output()
	if err != nil {
		t.Fatalf("php: %v\n%.2000s", err, output)
	}
	var answers []json.RawMessage
	if err := json.Unmarshal(output, &answers); err != nil {
		t.Fatalf("php printed %.2000s: %v", output, err)
	}
	return answers
}

// asPairs has the shape of what phpReader prints.
func asPairs(f File) any {
	sections := []any{}
	for _, section := range f.Sections {
		pairs := []any{}
		for _, setting := range section.Settings {
			if len(setting.List) == 0 {
				pairs = append(pairs, []any{setting.Key, []byte(setting.Value)})
				continue
			}
			items := []any{}
			for _, item := range setting.List {
				items = append(items, []any{item.Key, []byte(item.Value)})
			}
			pairs = append(pairs, []any{setting.Key, items})
		}
		sections = append(sections, []any{section.Name, pairs})
	}
	return sections
}
