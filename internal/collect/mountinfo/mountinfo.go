// Package mountinfo reads the kernel's list of mounted file systems (proc(5),
// /proc/PID/mountinfo).
package mountinfo

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Mount is a line of the list.
type Mount struct {
	Device  string   // "254:0"
	Root    string   // directory of the file system that is seen at Point
	Point   string   // as the process sees it
	Type    string   // "ext4"
	Source  string   // "/dev/vda"; may be empty
	Options []string // of the mount and of the file system, sorted: "nodev", "ro"
}

var errLine = errors.New("not a line of mountinfo")

// Parse reads the list, in its order: a later mount hides an earlier one. A
// line that is none is an error, with those before it.
func Parse(text string) ([]Mount, error) {
	var mounts []Mount
	for line := range strings.Lines(text) {
		m, err := parseLine(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return mounts, fmt.Errorf("read what is mounted: %q: %w", line, err)
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

var deviceNumber = regexp.MustCompile(`^\d+:\d+$`)

// parseLine reads "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root
// rw,errors=continue", in which any number of fields is before the hyphen.
func parseLine(line string) (Mount, error) {
	const optional = 6 // first of the fields that may be missing
	fields := strings.Split(line, " ")
	if len(fields) < optional {
		return Mount{}, errLine
	}
	hyphen := slices.Index(fields[optional:], "-")
	if hyphen < 0 || len(fields) < optional+hyphen+4 {
		return Mount{}, errLine
	}
	of := fields[optional+hyphen+1:] // type, source, options
	options := append(strings.Split(fields[5], ","), strings.Split(of[2], ",")...)
	slices.Sort(options)
	m := Mount{
		Device: fields[2], Root: unescape(fields[3]), Point: unescape(fields[4]),
		Type: of[0], Source: unescape(of[1]), Options: slices.Compact(options),
	}
	if !deviceNumber.MatchString(m.Device) || !path.IsAbs(m.Point) || m.Type == "" {
		return Mount{}, errLine
	}
	return m, nil
}

var octal = regexp.MustCompile(`\\[0-3][0-7]{2}`)

// unescape reads "\040", as the kernel writes a space in a path.
func unescape(text string) string {
	return octal.ReplaceAllStringFunc(text, func(code string) string {
		value, err := strconv.ParseUint(code[1:], 8, 8)
		if err != nil {
			return code
		}
		return string([]byte{byte(value)})
	})
}
