package host

import (
	"regexp"
	"strings"
)

const redacted = "[redacted]"

// What looks like a secret in a command line: the groups before it stay.
var (
	assigned = regexp.MustCompile(`(?i)([\w.-]*(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|token_auth|api[-_]?key|access[-_]?key|private[-_]?key|credentials?)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s"'&;,|]+)`)
	optional = regexp.MustCompile(`(?i)(\s--?[\w-]*(?:password|passwd|passphrase|secret|token|api-?key)\s+)([^\s-]\S*)`)
	inURL    = regexp.MustCompile(`(://[^/\s:@]*:)[^@\s/]+@`)
	bearer   = regexp.MustCompile(`(?i)((?:bearer|authorization: *basic)\s+)[^\s"']+`)
	shortP   = regexp.MustCompile(`(\s-p)([^\s-]\S*)`)                              // mysql -pWORD, sshpass -pWORD
	takesP   = regexp.MustCompile(`(?:^|[\s/;|&(])(?:mysql|mariadb|sshpass)[\w-]*`) //
	userWord = regexp.MustCompile(`(\s(?:-u|--user|--proxy-user)[=\s]*[^\s:=]+:)\S+`)
	takesU   = regexp.MustCompile(`(?:^|[\s/;|&(])(?:curl|ldap\w*)\s`)
	cloudKey = regexp.MustCompile(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`)
)

// redact masks what looks like a secret in a command line.
func redact(line string) string {
	line = inURL.ReplaceAllString(line, "${1}"+redacted+"@")
	line = bearer.ReplaceAllString(line, "${1}"+redacted)
	line = assigned.ReplaceAllString(line, "${1}"+redacted)
	line = optional.ReplaceAllString(line, "${1}"+redacted)
	if takesP.MatchString(line) {
		line = shortP.ReplaceAllString(line, "${1}"+redacted)
	}
	if takesU.MatchString(line) {
		line = userWord.ReplaceAllString(line, "${1}"+redacted)
	}
	return cloudKey.ReplaceAllString(line, redacted)
}

// redactArgs is redact for the arguments of a program: an option and its value
// may be two of them.
func redactArgs(argv []string) []string {
	if len(argv) == 0 {
		return nil
	}
	const newline = "\x1e" // stands for one inside an argument
	joined := strings.Join(argv, "\n")
	if strings.Count(joined, "\n") != len(argv)-1 {
		kept := make([]string, len(argv))
		for i, arg := range argv {
			kept[i] = strings.ReplaceAll(arg, "\n", newline)
		}
		joined = strings.Join(kept, "\n")
	}
	masked := strings.Split(redact(joined), "\n")
	if len(masked) != len(argv) {
		return []string{redacted} // a value was found across arguments: nothing of it is told
	}
	for i, arg := range masked {
		masked[i] = strings.ReplaceAll(arg, newline, "\n")
	}
	return masked
}

// hide masks the given secrets wherever they are in a text.
func hide(text string, secrets []string) string {
	for _, s := range secrets {
		text = strings.ReplaceAll(text, s, redacted)
	}
	return text
}

var (
	secretName = regexp.MustCompile(`(?i)(?:PASS(?:WORD|WD|PHRASE|CODE)?S?|SECRETS?|TOKENS?|KEYS?|PWD?)(?:_?\d*)$|(?:PASS(?:WORD|WD|PHRASE|CODE)?|SECRET|TOKEN|KEY)_`)
	otherName  = regexp.MustCompile(`(?i)_(?:FILE|PATH|DIR|DIRECTORY|ID|URL|TTL|TYPE|LENGTH)$|^(?:OLD)?PWD$|BYPASS`)
)

// holdsSecret tells whether a variable of an environment has a secret in it:
// by its name, or because its value is one that is known.
func holdsSecret(name, value string, secrets []string) bool {
	if value == "" {
		return false
	}
	for _, s := range secrets {
		if strings.Contains(value, s) {
			return true
		}
	}
	return secretName.MatchString(name) && !otherName.MatchString(name)
}
