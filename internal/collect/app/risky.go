package app

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"rocca/internal/facts"
)

// Caps of what is scanned of one plugin.
const (
	scanFiles = 5000
	scanBytes = 64 << 20
)

// calls are functions of PHP, and of Matomo's Http class, that can do more than
// a report needs, by the ability that they give.
var calls = func() map[string]string {
	byName := map[string]string{}
	for ability, names := range map[string]string{
		"exec":  "exec shell_exec system passthru proc_open popen pcntl_exec dl",
		"eval":  "eval assert create_function unserialize",
		"net":   "curl_init curl_multi_init fsockopen pfsockopen stream_socket_client socket_connect ftp_connect mail " + methods,
		"write": "file_put_contents fwrite fputs move_uploaded_file copy rename unlink rmdir mkdir symlink link chmod chown touch ftruncate",
	} {
		for name := range strings.FieldsSeq(names) {
			byName[name] = ability
		}
	}
	return byName
}()

// methods are those of calls that are methods; others of such a name are none
// of PHP's functions.
const methods = "sendhttprequest sendhttprequestby fetchremotefile"

// includes is code that is included from a place which is known at run time only.
var includes = regexp.MustCompile(`(?i)\b(?:include|require)(?:_once)?\s*\(?\s*\$`)

// unread is told among the abilities of a plugin that has more code than is
// looked at, or code that cannot be read.
const unread = "unread"

// scan lists what the PHP code of a plugin can do, and when its newest file
// was changed. It reads code as text: what is put together at run time is not
// seen.
func scan(ctx context.Context, top *os.Root, dir string) (risky []string, changed time.Time) {
	files, total := 0, 0
	err := fs.WalkDir(top.FS(), dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if files++; files > scanFiles || total > scanBytes || ctx.Err() != nil {
			return errors.New("there is more")
		}
		if info, err := d.Info(); err == nil && info.ModTime().After(changed) {
			changed = info.ModTime().UTC()
		}
		if !slices.Contains([]string{".php", ".phtml", ".inc", ".phar"}, strings.ToLower(path[max(0, strings.LastIndexByte(path, '.')):])) {
			return nil
		}
		text, err := readIn(top, path, sourceLimit)
		if err != nil {
			return err
		}
		total += len(text)
		for _, ability := range able(text) {
			if !slices.Contains(risky, ability) {
				risky = append(risky, ability)
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		risky = append(risky, unread)
	}
	slices.Sort(risky)
	return risky, changed
}

// able lists the abilities of a PHP source.
func able(text []byte) []string {
	code := phpCode(text)
	var found []string
	note := func(ability string) {
		if ability != "" && !slices.Contains(found, ability) {
			found = append(found, ability)
		}
	}
	for i := 0; ; i++ {
		next := bytes.IndexByte(code[i:], '(')
		if next < 0 {
			break
		}
		i += next
		note(called(code[:i]))
	}
	if bytes.IndexByte(code, '`') >= 0 { // a shell line
		note("exec")
	}
	if includes.Match(code) {
		note("eval")
	}
	if bytes.Contains(code, []byte("GuzzleHttp")) {
		note("net")
	}
	slices.Sort(found)
	return found
}

// called is the ability of the function that is called where the code ends,
// before its bracket; empty: none, or a method or declaration of its name.
func called(code []byte) string {
	const longest = 40 // names, and what tells a declaration
	code = bytes.TrimRight(code, " \t\r\n")
	end := len(code)
	begin := end
	for begin > 0 && end-begin < longest && isWord(code[begin-1]) {
		begin--
	}
	name := strings.ToLower(string(code[begin:end]))
	ability := calls[name]
	if ability == "" {
		return ""
	}
	before := bytes.TrimRight(code[:begin], " \t\r\n")
	if bytes.HasSuffix(before, []byte("->")) || bytes.HasSuffix(before, []byte("::")) {
		if !slices.Contains(strings.Fields(methods), name) {
			return ""
		}
		return ability
	}
	if bytes.HasSuffix(before, []byte("$")) || strings.EqualFold(string(before[max(0, len(before)-len("function")):]), "function") {
		return ""
	}
	return ability
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// phpCode blanks comments, strings and what is outside of PHP's tags, and
// leaves all else where it is.
func phpCode(text []byte) []byte {
	code := bytes.Repeat([]byte(" "), len(text))
	for i := 0; i < len(text); {
		open := bytes.Index(text[i:], []byte("<?"))
		if open < 0 {
			break
		}
		i = blankUntilClosed(code, text, i+open+2)
	}
	return code
}

// blankUntilClosed copies code from i up to the closing tag, and returns where
// that ends.
func blankUntilClosed(code, text []byte, i int) int {
	for i < len(text) {
		rest := text[i:]
		switch c := text[i]; {
		case bytes.HasPrefix(rest, []byte("?>")):
			return i + 2
		case bytes.HasPrefix(rest, []byte("//")) || c == '#' && !bytes.HasPrefix(rest, []byte("#[")):
			end := bytes.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			if closed := bytes.Index(rest[:end], []byte("?>")); closed >= 0 {
				end = closed
			}
			i += end
		case bytes.HasPrefix(rest, []byte("/*")):
			end := bytes.Index(rest[2:], []byte("*/"))
			if end < 0 {
				return len(text)
			}
			i += end + 4
		case c == '\'' || c == '"':
			i = stringEnd(text, i)
		default:
			code[i] = c
			i++
		}
	}
	return i
}

// stringEnd is where the quoted string that begins at i ends.
func stringEnd(text []byte, i int) int {
	for j := i + 1; j < len(text); j++ {
		switch text[j] {
		case '\\':
			j++
		case text[i]:
			return j + 1
		}
	}
	return len(text)
}

var createdTable = regexp.MustCompile(`createTable\s*\(\s*['"]([a-z0-9_]{1,60})['"]|prefixTable\s*\(\s*['"]([a-z0-9_]{1,60})['"]`)

// coreTables are tables of Matomo that plugins read, too.
var coreTables = []string{"access", "goal", "log_action", "log_conversion", "log_conversion_item", "log_link_visit_action", "log_visit", "option", "plugin_setting", "report", "segment", "sequence", "session", "site", "site_setting", "site_url", "user", "user_dashboard", "user_language", "user_token_auth"}

// thirdPartyTables lists by plugin the tables that plugins which are not of the
// release make, without prefix.
func thirdPartyTables(ctx context.Context, top *os.Root, found map[string]facts.Plugin) map[string][]string {
	tables := map[string][]string{}
	for name, p := range found {
		if p.Core || p.Dir == "" {
			continue
		}
		files := 0
		_ = fs.WalkDir(top.FS(), "plugins/"+name, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || !strings.HasSuffix(path, ".php") {
				return nil // scan tells what cannot be read
			}
			if files++; files > scanFiles || ctx.Err() != nil {
				return fs.SkipAll
			}
			text, err := readIn(top, path, sourceLimit)
			if err != nil {
				return nil
			}
			for _, match := range createdTable.FindAllSubmatch(text, 20) {
				table := string(match[1]) + string(match[2])
				if !slices.Contains(coreTables, table) && !slices.Contains(tables[name], table) {
					tables[name] = append(tables[name], table)
				}
			}
			return nil
		})
	}
	return tables
}
