package host

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/bits"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
	"rocca/internal/rooted"
)

// authorizedKeys reads the files of all users that sshd looks into
// (sshd_config(5), AuthorizedKeysFile). A file in a home is never followed out
// of it: its owner could make it lead anywhere.
func authorizedKeys(root Root, users map[string]facts.User, patterns []string) ([]facts.AuthorizedKey, error) {
	var found []facts.AuthorizedKey
	var problem error
	seen := map[string]bool{} // by user and file
	for _, name := range slices.Sorted(maps.Keys(users)) {
		user := users[name]
		for _, pattern := range patterns {
			file := keysFile(pattern, name, user)
			if pattern == "none" || seen[name+" "+file] {
				continue
			}
			seen[name+" "+file] = true
			content, changed, err := readKeysFile(root, file, user.Home)
			if gone(err) {
				continue
			}
			if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.ELOOP) {
				err = fmt.Errorf("%s leads out of the home", file)
			}
			if err != nil {
				problem = errors.Join(problem, keysProblem(name, err))
			}
			for _, key := range parseKeys(content) {
				key.User, key.File, key.Changed = name, file, changed
				found = append(found, key)
			}
		}
	}
	return found, problem
}

func keysProblem(user string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return onlyRoot("read the keys of " + user)
	}
	return fmt.Errorf("read the keys of %s: %w", user, err)
}

// keysFile fills in %h, %u, %U and %%.
func keysFile(pattern, name string, user facts.User) string {
	file := strings.NewReplacer("%%", "%", "%h", user.Home, "%u", name, "%U", strconv.Itoa(user.UID)).Replace(pattern)
	if !strings.HasPrefix(file, "/") {
		file = path.Join(user.Home, file)
	}
	return path.Clean(file)
}

func readKeysFile(root Root, file, home string) (string, time.Time, error) {
	f, err := openKeysFile(root, file, home)
	if err != nil {
		return "", time.Time{}, err
	}
	defer f.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return "", time.Time{}, err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return "", time.Time{}, nil // sshd passes it over too
	}
	content, err := rooted.ReadFile(f, contentLimit)
	return string(content), time.Unix(stat.Ctim.Unix()), err
}

func openKeysFile(root Root, file, home string) (*os.File, error) {
	below, inside := strings.CutPrefix(file, strings.TrimRight(home, "/")+"/")
	if !inside || home == "" {
		return root.open(file, 0, unix.RESOLVE_NO_SYMLINKS)
	}
	dir, err := root.open(home, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return rooted.OpenBelow(dir, below)
}

var keyType = regexp.MustCompile(`^(?:sk-)?(?:ssh-(?:rsa|dss|ed25519|ed448)|ecdsa-sha2-nistp\d+)(?:-cert-v01)?(?:@openssh\.com)?$`)

// parseKeys reads authorized_keys (sshd(8)): options, type, key, comment. Other
// lines are left out.
func parseKeys(content string) []facts.AuthorizedKey {
	var found []facts.AuthorizedKey
	number := 0
	for line := range strings.Lines(content) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key := facts.AuthorizedKey{Line: number}
		kind, rest := cutFields(line, 1)
		if !keyType.MatchString(kind) {
			options, after := cutOptions(line)
			if kind, rest = cutFields(after, 1); !keyType.MatchString(kind) {
				continue
			}
			for _, option := range splitList(options) {
				key.Options = append(key.Options, redact(option))
			}
		}
		blob, comment := cutFields(rest, 1)
		key.Type, key.Comment = kind, comment
		if strings.HasPrefix(kind, "ssh-rsa") {
			key.Bits = rsaBits(blob)
		}
		found = append(found, key)
	}
	return found
}

// cutOptions splits options from what follows: at the first space outside
// quotes.
func cutOptions(line string) (options, rest string) {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case (c == ' ' || c == '\t') && !quoted:
			return line[:i], strings.TrimSpace(line[i:])
		}
	}
	return line, ""
}

// rsaBits is the length of the modulus of a key in the form of RFC 4253, 6.6:
// the name, the exponent and the modulus, each after its length. 0: no such key.
func rsaBits(blob string) int {
	raw, err := base64.StdEncoding.DecodeString(blob)
	if err != nil {
		return 0
	}
	var fields [][]byte
	for len(raw) >= 4 && len(fields) < 3 {
		length := binary.BigEndian.Uint32(raw)
		if raw = raw[4:]; uint64(length) > uint64(len(raw)) {
			return 0
		}
		fields, raw = append(fields, raw[:length]), raw[length:]
	}
	if len(fields) < 3 || string(fields[0]) != "ssh-rsa" {
		return 0
	}
	modulus := slices.Clone(fields[2])
	for len(modulus) > 0 && modulus[0] == 0 {
		modulus = modulus[1:]
	}
	if len(modulus) == 0 {
		return 0
	}
	return (len(modulus)-1)*8 + bits.Len8(modulus[0])
}
