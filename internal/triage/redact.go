package triage

import (
	"bytes"
	"regexp"
	"strings"

	"rocca/internal/secret"
)

const (
	redacted       = "[redacted]"
	shortestSecret = 6
)

// What looks like a secret in a command line or a line of a log. The groups
// before it stay.
var (
	named  = regexp.MustCompile(`(?i)((?:[\w.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credential|sessid|salt)[\w-]*)["']?\s*(?:=|:|%3D)\s*)("[^"]*"|'[^']*'|[^\s"'&;,|]+)`)
	option = regexp.MustCompile(`(?i)(\s--?[\w-]*(?:password|passwd|passphrase|secret|token|api-?key)\s+)([^\s-]\S*)`)
	inURL  = regexp.MustCompile(`(://[^/\s:@]*:)[^@\s/]+@`)
	bearer = regexp.MustCompile(`(?i)((?:bearer|basic)\s+)[A-Za-z0-9+/=_.~-]{8,}`)
	dashP  = regexp.MustCompile(`((?:mysql|mariadb|sshpass)\S*\s(?:.*\s)?-p)([^\s-]\S*)`)
	dashU  = regexp.MustCompile(`((?:curl|ldap)\S*\s(?:.*\s)?(?:-u|--user|--proxy-user)[=\s]*[^\s:=]+:)\S+`)
	cloud  = regexp.MustCompile(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`)
	pem    = regexp.MustCompile(`(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|$)`)
)

// Redact masks what looks like a secret.
func Redact(text string) string {
	text = pem.ReplaceAllString(text, "${1}"+redacted+"${2}")
	text = inURL.ReplaceAllString(text, "${1}"+redacted+"@")
	text = bearer.ReplaceAllString(text, "${1}"+redacted)
	text = named.ReplaceAllString(text, "${1}"+redacted)
	text = option.ReplaceAllString(text, "${1}"+redacted)
	text = dashP.ReplaceAllString(text, "${1}"+redacted)
	text = dashU.ReplaceAllString(text, "${1}"+redacted)
	return cloud.ReplaceAllString(text, redacted)
}

var (
	setting = regexp.MustCompile(`^\s*([A-Za-z_][\w.-]*)\s*(?:\[[^\]]*\])?\s*=\s*(.*?)\s*$`)
	secrets = regexp.MustCompile(`(?i)(?:^|_)(?:password|passwd|pass|salt|token|token_auth|secret|secret_key|api_?key|license_?key|access_?key)$`)
)

// Secrets finds the values in a config.ini.php that are secrets, by the names
// of their keys: as they are written there and as they are meant.
func Secrets(config []byte) []secret.Secret {
	var all []secret.Secret
	unescape := strings.NewReplacer("&#36;", "$", "&amp;", "&", "&lt;", "<", "&gt;", ">", "&quot;", `"`, "&#039;", "'", "&#39;", "'")
	for line := range bytes.Lines(config) {
		match := setting.FindSubmatch(bytes.TrimRight(line, "\r\n"))
		if match == nil || !secrets.Match(match[1]) {
			continue
		}
		value := string(match[2])
		if len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		if len(value) < shortestSecret {
			continue
		}
		all = append(all, secret.New(value))
		if meant := unescape.Replace(value); meant != value {
			all = append(all, secret.New(meant))
		}
	}
	return all
}
