package cloud

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// mostText caps what is unpacked of user data, in bytes: EC2 takes 16 KB, which
// may be compressed.
const mostText = 4 << 20

// scanEncoded looks into a text that comes in base64. The text itself is kept
// nowhere.
func scanEncoded(encoded string) facts.UserData {
	text, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(encoded), ""))
	if err != nil {
		text = []byte(encoded) // somebody forgot to encode it; it can be read all the same
	}
	return scan(text)
}

// scan tells what should not be in a text.
func scan(text []byte) facts.UserData {
	if len(text) == 0 {
		return facts.UserData{}
	}
	sum := sha256.Sum256(text)
	seen := facts.UserData{SHA256: hex.EncodeToString(sum[:]), Bytes: len(text)}
	seen.Hits = hits(string(unpacked(text)))
	return seen
}

// unpacked is what cloud-init would make of a text.
func unpacked(text []byte) []byte {
	if !bytes.HasPrefix(text, []byte{0x1f, 0x8b}) {
		return text
	}
	reader, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return text
	}
	plain, err := io.ReadAll(io.LimitReader(reader, mostText))
	if len(plain) == 0 && err != nil {
		return text
	}
	return plain
}

// signs are what a line is looked through for.
var signs = []struct {
	kind    string
	command bool // it does harm when it is run, not when it is read
	line    *regexp.Regexp
}{
	{"password", false, regexp.MustCompile(`(?i)(?:passw(?:or)?d|passwd|passphrase|secret_?(?:access_?)?key|(?:client|app)_secret|(?:api|auth|access)[_-]?(?:token|key)|token_auth)["']?\]?\s*(?:=>|:=|[:=])\s*["']?([^\s"';,]+)`)},
	{"password", false, regexp.MustCompile(`(?i)identified\s+by\s+["']([^"']+)["']`)},
	{"password", false, regexp.MustCompile(`(?i)\b(?:mysql|mariadb|mysqldump|mysqladmin)\b.*\s(?:-p|--password=)["']?([^\s"']+)`)},
	{"password", false, regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^/\s:@"']+:([^@\s/"']+)@`)},
	{"private key", false, regexp.MustCompile(`-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----()`)},
	{"access key", false, regexp.MustCompile(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b()`)},
	{"chmod 777", true, regexp.MustCompile(`\bchmod\b[^#;|&]*\s(?:0?777|a\+rwx|ugo\+rwx)\b()`)},
	{"metadata version 1", true, regexp.MustCompile(`(?:169\.254\.169\.254|\[fd00:ec2::254\])/(?:latest|20\d\d|1\.0)/(?:meta-data|user-data|dynamic)()`)},
}

// downloads are looked for by their own rule, as a check can follow.
var (
	intoShell = regexp.MustCompile(`\b(?:curl|wget)\b[^;|]*\|\s*(?:sudo\s+(?:-\S+\s+)*)?(?:env\s+)?(?:ba|da|z|k)?(?:sh|php\d?|python\d?|perl)\b|\b(?:ba|da)?sh\s+(?:-c\s+["']?\$\(|<\()\s*(?:curl|wget)\b`)
	download  = regexp.MustCompile(`\b(?:curl|wget)\b.*\bhttps?://\S*(?:latest|\.(?:zip|tar|tgz|gz|bz2|xz|deb|rpm|phar|run|sh|php|py|jar|bin)\b)`)
	proven    = regexp.MustCompile(`\b(?:sha(?:224|256|384|512)?sum|shasum|gpgv?|cosign|minisign|openssl\s+dgst|rsync)\b`)
	token     = regexp.MustCompile(`(?i)X-aws-ec2-metadata-token`)
)

// reference is a value that is looked up at run time: a variable, a command, a
// template, a path, the ARN of a secret, or a placeholder.
var reference = regexp.MustCompile("^(?:\\$[A-Za-z_({]|\\{\\{|<|%|arn:|/|`|!|\\*+$|\\.\\.\\.)|^(?i:null|none|true|false|yes|no|required)$")

// hits lists what was found, in the order of the lines and once per kind. Lines
// that are continued are looked at as one.
func hits(text string) []facts.Hit {
	var all []facts.Hit
	verified := proven.MatchString(text)
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		number, line := i+1, lines[i]
		for strings.HasSuffix(line, "\\") && i+1 < len(lines) {
			i++
			line = strings.TrimSuffix(line, "\\") + " " + lines[i]
		}
		for _, kind := range kinds(line, verified) {
			all = append(all, facts.Hit{Line: number, Kind: kind})
		}
	}
	return all
}

// kinds are those of what is in a line. Of a comment, only what tells a secret
// does harm.
func kinds(line string, verified bool) []string {
	var all []string
	hit := func(kind string) {
		if !slices.Contains(all, kind) {
			all = append(all, kind)
		}
	}
	bare := strings.TrimSpace(line)
	comment := strings.HasPrefix(bare, "#") && !strings.HasPrefix(bare, "#!")
	for _, s := range signs {
		switch match := s.line.FindStringSubmatch(line); {
		case match == nil, s.kind == "password" && reference.MatchString(match[1]):
		case comment && s.command, s.kind == "metadata version 1" && token.MatchString(line):
		default:
			hit(s.kind)
		}
	}
	if !comment && !strings.Contains(line, "169.254.169.254/") && (intoShell.MatchString(line) || !verified && download.MatchString(line)) {
		hit("unverified download")
	}
	return all
}
