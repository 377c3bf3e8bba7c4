package respond

import (
	"regexp"
	"slices"
	"strings"
)

// Evidence is read by many, and kept for long: passwords, tokens and keys in it
// are masked. What a responder needs of them is where they were.
var (
	privateKey = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----`)
	bearer     = regexp.MustCompile(`(?i)\b((?:bearer|basic)\s+)[A-Za-z0-9+/._~=-]{8,}`)
	// A name, a sign that a value follows, perhaps quotes, the value.
	namedValue = regexp.MustCompile(`(?i)\b([a-z0-9_.-]*(?:passwor[dt]|passwd|passphrase|pwd|secret|token|api_?key|private_?key|salt|cookie|signature|authorization)[a-z0-9_.-]*)(\\?["']?\s*(?:=|:)\s*\\?["']?)([^\s"'\\&;,<>{}\[\]]{3,})`)
	// Names that speak about a secret and do not hold it.
	speaksOf = regexp.MustCompile(`(?i)(?:id|arn|name|type|tokens|version|versions|stages?|days|until|at|date)$`)
)

const masked = "[redacted]"

// redacted masks what looks like a secret in a text.
func redacted(text string) string {
	text = privateKey.ReplaceAllString(text, masked)
	text = bearer.ReplaceAllString(text, "${1}"+masked)
	return namedValue.ReplaceAllStringFunc(text, func(found string) string {
		parts := namedValue.FindStringSubmatch(found)
		if speaksOf.MatchString(parts[1]) {
			return found
		}
		return parts[1] + parts[2] + masked
	})
}

// secretHeader tells whether the value of a header says who somebody is.
func secretHeader(name string) bool {
	return slices.Contains([]string{"authorization", "cookie", "proxy-authorization", "x-api-key", "x-csrf-token"}, strings.ToLower(name))
}
