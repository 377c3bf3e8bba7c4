package release

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// manifestPath is where a release keeps its own list of files.
const manifestPath = "config/manifest.inc.php"

// Manifest is a list of files: what is expected at each path. Paths have
// slashes and are relative to the root of the release.
type Manifest map[string]Sum

// Sum is what a file must be.
type Sum struct {
	Size int64  `json:"size"` // bytes
	Hash string `json:"hash"` // lower-case hex: SHA-256, or MD5 in releases before 5.2.0
}

// IsMD5 tells whether the hash is the short one. MD5 does not withstand an
// attacker; it is as good as the signature of the archive it came in.
func (s Sum) IsMD5() bool { return len(s.Hash) == hex.EncodedLen(md5Size) }

const (
	md5Size    = 16
	sha256Size = 32
)

var (
	manifestEntry = regexp.MustCompile(`^"([^"]+)" => array\("(\d{1,12})", "([0-9a-f]{32}|[0-9a-f]{64})"\),$`)
	manifestNote  = regexp.MustCompile(`^//[ \w]*$`)
)

// The lines around the entries, in their order.
var (
	manifestHead = []string{"<?php", "namespace Piwik;", "class Manifest {", "static $files=array("}
	manifestTail = []string{");", "}"}
)

// ParseManifest reads config/manifest.inc.php line by line. The file is PHP
// and runs on the server, so that any line other than those that Matomo's
// build writes is refused, as are paths that could leave the release and paths
// that stand twice.
func ParseManifest(file []byte) (Manifest, error) {
	manifest := Manifest{}
	frame := append(append([]string{}, manifestHead...), manifestTail...)
	for i, line := range bytes.Split(file, []byte("\n")) {
		text := strings.TrimSpace(string(line))
		inside := len(frame) == len(manifestTail)
		switch {
		case text == "" || manifestNote.MatchString(text):
		case len(frame) > 0 && text == frame[0]:
			frame = frame[1:]
		case inside:
			if err := manifest.add(text); err != nil {
				return nil, fmt.Errorf("read %s: line %d: %w", manifestPath, i+1, err)
			}
		default:
			return nil, fmt.Errorf("read %s: line %d is not one that Matomo's build writes", manifestPath, i+1)
		}
	}
	if len(frame) > 0 {
		return nil, fmt.Errorf("read %s: it ends before the line %q", manifestPath, frame[0])
	}
	if len(manifest) == 0 {
		return nil, fmt.Errorf("read %s: it lists no file", manifestPath)
	}
	return manifest, nil
}

func (m Manifest) add(line string) error {
	match := manifestEntry.FindStringSubmatch(line)
	if match == nil {
		return fmt.Errorf("not an entry such as \"path\" => array(\"size\", \"hash\"),")
	}
	path := match[1]
	if err := checkPath(path); err != nil {
		return err
	}
	// Between double quotes, PHP would put the value of a variable there.
	if strings.Contains(path, "$") {
		return fmt.Errorf("the path %q holds a dollar sign", path)
	}
	if _, twice := m[path]; twice {
		return fmt.Errorf("the path %q stands twice", path)
	}
	size, err := strconv.ParseInt(match[2], 10, 64)
	if err != nil {
		return err
	}
	m[path] = Sum{Size: size, Hash: match[3]}
	return nil
}
