package files

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// token is a piece of PHP. Blanks and comments are left out.
type token struct {
	kind tokenKind
	text string // of a string, what is between the quotes
}

type tokenKind byte

const (
	outside   tokenKind = 'o' // text that is printed as it is, outside of <?php ?>
	open      tokenKind = '<' // "<?php", "<?=" or "<?"
	word      tokenKind = 'w' // name, key word; with its backslashes
	variable  tokenKind = '$'
	number    tokenKind = 'n'
	quoted    tokenKind = 's' // '...', and "..." without a variable in it
	evaluated tokenKind = 'e' // "..." or <<<X with a variable or an expression in it
	command   tokenKind = '`' // what is between backticks: a command
	mark      tokenKind = '.' // one character of punctuation
)

// tokensLimit is how many tokens are told apart: as many as bytes of a file
// that is judged. What has more ends in a token that fits nowhere.
const tokensLimit = textLimit

var heredoc = regexp.MustCompile(`\A<<<[ \t]*(["']?)([A-Za-z_]\w*)["']?\r?\n`)

// tokens splits PHP as its own scanner does, as far as telling code from text
// goes. It reads anything; what does not end, ends with the file.
func tokens(source string) []token {
	var found []token
	rest := source
	for rest != "" {
		before, after, starts := strings.Cut(rest, "<?")
		if before != "" {
			found = append(found, token{outside, before})
		}
		if !starts {
			return found
		}
		tag := "<?"
		for _, more := range []string{"php", "="} {
			if len(after) >= len(more) && strings.EqualFold(after[:len(more)], more) {
				tag, after = tag+more, after[len(more):]
				break
			}
		}
		found = append(found, token{open, tag})
		found, rest = code(found, after)
	}
	return found
}

func isWord(c byte) bool {
	return c == '_' || c == '\\' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
}

// code splits up to the closing tag, and returns what follows that.
func code(found []token, s string) (all []token, rest string) {
	for s != "" {
		if len(found) >= tokensLimit {
			return append(found, token{outside, ""}), ""
		}
		c := s[0]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			s = s[1:]
		case strings.HasPrefix(s, "?>"):
			return found, s[2:]
		case strings.HasPrefix(s, "/*"):
			_, s, _ = strings.Cut(s[2:], "*/")
		case strings.HasPrefix(s, "//") || c == '#' && !strings.HasPrefix(s, "#["):
			s = s[lineComment(s):]
		case c == '\'':
			n := stringEnd(s, c)
			found, s = append(found, token{quoted, s[1:n]}), s[min(n+1, len(s)):]
		case c == '"' || c == '`':
			n := stringEnd(s, c)
			kind := quoted
			if c == '`' {
				kind = command
			} else if strings.Contains(s[1:n], "$") {
				kind = evaluated
			}
			found, s = append(found, token{kind, s[1:n]}), s[min(n+1, len(s)):]
		case strings.HasPrefix(s, "<<<") && heredoc.MatchString(s):
			var t token
			t, s = longString(s)
			found = append(found, t)
		case c == '$' && len(s) > 1 && isWord(s[1]) && s[1] != '\\':
			n := 1
			for n < len(s) && isWord(s[n]) && s[n] != '\\' {
				n++
			}
			found, s = append(found, token{variable, s[1:n]}), s[n:]
		case isWord(c):
			n := 0
			for n < len(s) && isWord(s[n]) {
				n++
			}
			kind := word
			if c >= '0' && c <= '9' {
				kind = number
			}
			found, s = append(found, token{kind, s[:n]}), s[n:]
		default:
			found, s = append(found, token{mark, s[:1]}), s[1:]
		}
	}
	return found, ""
}

// lineComment is where a comment of one line ends: at the end of the line, or
// at a closing tag.
func lineComment(s string) int {
	n := strings.IndexAny(s, "\r\n")
	if n < 0 {
		n = len(s)
	}
	if tag := strings.Index(s[:n], "?>"); tag >= 0 {
		n = tag
	}
	return n
}

// stringEnd is where the closing quote of a string is.
func stringEnd(s string, quote byte) int {
	for n := 1; n < len(s); n++ {
		switch s[n] {
		case '\\':
			n++
		case quote:
			return n
		}
	}
	return len(s)
}

func longString(s string) (t token, rest string) {
	start := heredoc.FindStringSubmatch(s)
	body, kind := s[len(start[0]):], evaluated
	end := 0
	for line := range strings.Lines(body) {
		after, ends := strings.CutPrefix(strings.TrimLeft(line, " \t"), start[2])
		if ends && (after == "" || !isWord(after[0])) {
			break
		}
		end += len(line)
	}
	text, rest := body[:end], body[end:]
	if start[1] == "'" || !strings.Contains(text, "$") {
		kind = quoted
	}
	return token{kind, text}, strings.TrimPrefix(strings.TrimLeft(rest, " \t"), start[2])
}

// danger is what a function or variable lets PHP do.
type danger struct {
	says  string
	names []string
}

// dangers are what a backdoor needs, the worst first.
var dangers = []danger{
	{"calls", []string{"eval", "assert", "create_function"}},
	{"starts programs with", []string{"system", "exec", "shell_exec", "passthru", "popen", "proc_open", "pcntl_exec", "expect_popen"}},
	{"reads what the visitor sends in", []string{"$_GET", "$_POST", "$_REQUEST", "$_COOKIE", "$_FILES", "$_SERVER", "$HTTP_RAW_POST_DATA"}},
	{"hides text with", []string{"base64_decode", "gzinflate", "gzuncompress", "str_rot13", "hex2bin", "convert_uudecode"}},
	{"writes files with", []string{"file_put_contents", "fwrite", "fputs", "move_uploaded_file", "copy", "rename", "symlink", "chmod"}},
	{"connects with", []string{"curl_exec", "curl_init", "fsockopen", "stream_socket_client", "pfsockopen", "mail"}},
	{"sets PHP's settings with", []string{"ini_set", "ini_alter", "dl", "putenv", "set_include_path"}},
	{"includes a file with", []string{"include", "include_once", "require", "require_once"}},
	{"makes objects with", []string{"unserialize", "extract", "parse_str"}},
}

// runners call the function that their first argument names.
var runners = []string{"call_user_func", "call_user_func_array", "forward_static_call", "forward_static_call_array", "array_map", "array_filter", "array_walk", "array_reduce",
	"usort", "uasort", "uksort", "register_shutdown_function", "register_tick_function", "set_error_handler", "ob_start", "preg_replace_callback", "iterator_apply", "header_register_callback"}

// phpDangers says what a piece of PHP does that a backdoor does, the worst
// first.
func phpDangers(content []byte) []string {
	all := tokens(string(content))
	seen := map[string]bool{}
	var odd []string
	var parentheses []int // that are open
	for i, t := range all {
		next := token{}
		if i+1 < len(all) {
			next = all[i+1]
		}
		calls := next == token{mark, "("}
		switch t.kind {
		case word:
			name := strings.ToLower(t.text[strings.LastIndexByte(t.text, '\\')+1:])
			method := i > 0 && (all[i-1] == token{mark, ">"} || all[i-1] == token{mark, ":"} && i > 1 && all[i-2] == token{mark, ":"}) ||
				i > 0 && all[i-1] == token{word, "function"} || i > 0 && all[i-1] == token{word, "new"}
			including := strings.HasPrefix(name, "include") || strings.HasPrefix(name, "require")
			if !method && (calls || including) {
				seen[name] = true
			}
			if calls && !method && slices.Contains(runners, name) && i+2 < len(all) && all[i+2].kind == quoted {
				seen[strings.ToLower(strings.TrimPrefix(all[i+2].text, "\\"))] = true
			}
		case variable:
			seen["$"+t.text] = true
			if calls && (i == 0 || all[i-1] != token{mark, ":"}) {
				odd = append(odd, "calls a function by a variable name")
			}
			if i > 0 && all[i-1] == (token{mark, "$"}) {
				odd = append(odd, "uses variables by variable names")
			}
		case quoted:
			if calls {
				odd = append(odd, "calls a function by a name in a string")
			}
		case evaluated:
			if strings.Contains(t.text, "{$") && strings.Contains(t.text, "(") {
				odd = append(odd, "calls functions inside of a string")
			}
		case command:
			odd = append(odd, "runs a command in backticks")
		case mark:
			switch n := len(parentheses); {
			case t.text == "(":
				parentheses = append(parentheses, i)
			case t.text == ")" && n > 0:
				if calls && namedByValue(all, parentheses[n-1]) {
					odd = append(odd, "calls a function by a name that is put together")
				}
				parentheses = parentheses[:n-1]
			}
		}
	}
	var does []string
	for _, d := range dangers {
		for _, name := range d.names {
			if seen[name] {
				does = append(does, d.says+" "+name)
			}
		}
	}
	slices.Sort(odd)
	return append(does, slices.Compact(odd)...)
}

// beforeValues are the words that a value in parentheses may follow; others are
// called with what is in them, or ask for it.
var beforeValues = []string{"return", "echo", "print", "yield", "from", "and", "or", "xor", "case", "throw", "else", "do", "clone"}

// namedByValue tells whether parentheses hold a value, so that what follows
// them calls what it names.
func namedByValue(all []token, open int) bool {
	called := open > 0 && (all[open-1].kind == word && !slices.Contains(beforeValues, strings.ToLower(all[open-1].text)) ||
		all[open-1].kind == variable || all[open-1] == token{mark, ")"})
	first := all[open+1].kind
	return !called && (first == quoted || first == evaluated || first == variable)
}

// phpDoes says the worst that a piece of PHP does.
func phpDoes(content []byte) string {
	does := phpDangers(content)
	switch {
	case len(does) > 0:
		return strings.Join(does[:min(len(does), 3)], ", ")
	case len(content) == 0:
		return "empty"
	}
	return "has code that nobody vouches for"
}

// isPHP tells files that a server may run as PHP, by their name.
func isPHP(name string) bool {
	switch extension := strings.ToLower(path.Ext(name)); extension {
	case ".php", ".phtml", ".pht", ".phps", ".phar", ".inc", ".php3", ".php4", ".php5", ".php6", ".php7", ".php8":
		return true
	}
	return strings.Contains(strings.ToLower(name), ".php.")
}

// isCache tells whether a file is one that Matomo's cache writes: it returns a
// value, and does nothing.
func isCache(content string) bool {
	all := tokens(content)
	if len(all) < 4 || all[0].kind != open || all[0].text != "<?php" || all[1] != (token{word, "return"}) || all[len(all)-1] != (token{mark, ";"}) {
		return false
	}
	unserializes := false
	for i, t := range all[2 : len(all)-1] {
		switch t.kind {
		case number, quoted:
		case mark:
			if !strings.Contains("()[],=>.-", t.text) {
				return false
			}
		case word:
			switch strings.ToLower(t.text) {
			case "array", "true", "false", "null":
			case "unserialize":
				if i != 0 {
					return false
				}
				unserializes = true
			default:
				return false
			}
		default:
			return false
		}
		if t.kind == quoted && all[i+3] == (token{mark, "("}) {
			return false // 'system'(...)
		}
		if t == (token{mark, ")"}) && all[i+3] == (token{mark, "("}) {
			return false
		}
	}
	return !unserializes || onlyData(all[3:])
}

var serializedObject = regexp.MustCompile(`[OCE]:\d+:"`)

// onlyData tells whether what is unserialized cannot become an object: PHP is
// told so, or there is none in it.
func onlyData(arguments []token) bool {
	n := len(arguments)
	tail := []token{{mark, ","}, {mark, "["}, {quoted, "allowed_classes"}, {mark, "="}, {mark, ">"}, {word, "false"}, {mark, "]"}, {mark, ")"}, {mark, ";"}}
	if n > len(tail) && slices.Equal(arguments[n-len(tail):], tail) {
		return true
	}
	for _, t := range arguments {
		if t.kind == quoted && serializedObject.MatchString(t.text) {
			return false
		}
	}
	return true
}

var (
	templateClass = regexp.MustCompile(`^__TwigTemplate_[0-9a-f]{32,64}(___\d+)?$`)
	templateBase  = regexp.MustCompile(`^\\?(Twig\\|Twig_)?Template$`)
)

// isTemplate tells whether a file is one that Twig compiles: it imports names,
// declares templates, and does nothing that a backdoor does.
func isTemplate(content string) bool {
	all := tokens(content)
	if len(all) < 2 || all[0] != (token{open, "<?php"}) {
		return false
	}
	rest, classes := all[1:], 0
	for len(rest) > 0 {
		var ok bool
		switch {
		case rest[0] == token{word, "use"} && len(rest) > 2 && rest[1].kind == word && rest[2] == token{mark, ";"}:
			rest = rest[3:]
		case len(rest) > 5 && rest[0] == token{word, "class"} && templateClass.MatchString(rest[1].text) && rest[2] == token{word, "extends"} && templateBase.MatchString(rest[3].text):
			if rest, ok = behindBlock(rest[4:]); !ok {
				return false
			}
			classes++
		default:
			return false
		}
	}
	return classes > 0 && len(phpDangers([]byte(content))) == 0
}

// behindBlock returns what follows a block in braces.
func behindBlock(all []token) (rest []token, ok bool) {
	depth := 0
	for i, t := range all {
		switch {
		case t.kind == outside || t.kind == open:
			return nil, false
		case t == token{mark, "{"}:
			depth++
		case t == token{mark, "}"}:
			depth--
		}
		if depth == 0 {
			return all[i+1:], i > 0
		}
	}
	return nil, false
}
