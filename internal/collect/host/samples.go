package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
)

// Bounds of the sample of a log.
const (
	sampleBytes = 1 << 20
	sampleLines = 1000
	samplesKept = 3
	sampleWidth = 300 // characters of a line that is shown
)

// SampleLogs completes logs, of which Path and Kind are given, by how long they
// are kept and what their last lines hold. A log that is not there is left out.
// The error says what could not be read, along with the rest.
func SampleLogs(root Root, logs []facts.LogFile) ([]facts.LogFile, error) {
	rotated, problem := rotations(root)
	var found []facts.LogFile
	for _, log := range logs {
		lines, err := lastLines(root, log.Path)
		if gone(err) {
			continue
		}
		if err != nil {
			problem = errors.Join(problem, fmt.Errorf("read a log: %w", err))
		}
		log.RotateDays = rotateDays(rotated, log.Path)
		sample(&log, lines)
		found = append(found, log)
	}
	return found, problem
}

// lastLines returns the last whole lines of a log. Those who write it may own
// the directory, so no link is followed on the way.
func lastLines(root Root, name string) ([]string, error) {
	f, err := root.open(name, unix.O_NOFOLLOW, unix.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "read", Path: name, Err: errors.New("it is not a file")}
	}
	from := max(0, info.Size()-sampleBytes)
	content, err := io.ReadAll(io.NewSectionReader(f, from, sampleBytes))
	if err != nil {
		return nil, err
	}
	if from > 0 { // the first line is cut
		_, content, _ = bytes.Cut(content, []byte("\n"))
	}
	text := strings.TrimSuffix(string(content), "\n")
	if text == "" {
		return nil, nil
	}
	lines := strings.Split(text, "\n")
	return lines[max(0, len(lines)-sampleLines):], nil
}

var (
	logSecret = regexp.MustCompile(`(?i)((?:token_auth|password(?:_?confirmation|bis)?|passwd|resettoken|invitationtoken|invitation_token|nonce_token)(?:=|%3D|["']?\s*[:=>]+\s*["']?))([^\s&"';,)\]}]+)`)
	// Matomo's invitations are "action=acceptInvitation&token=...".
	logInvite = regexp.MustCompile(`(?i)((?:accept|decline)Invitation[^\s"]*?[?&]token=)([^\s&"';,)]+)`)
	logMasked = regexp.MustCompile(`(?i)^(?:anonymous|\[?redacted\]?|x{3,}|\*+|\[?removed\]?|%5Bredacted%5D|-|)$`)
	candidate = regexp.MustCompile(`(?:^|[\s"'\[(,=<>|])((?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F]{0,4}:[0-9a-fA-F:]*:[0-9a-fA-F:.]*)`)
)

func sample(log *facts.LogFile, lines []string) {
	log.Lines = len(lines)
	for _, line := range lines {
		if fullAddress(line) {
			log.FullIPs++
		}
		if !tellsSecret(line) {
			continue
		}
		log.Tokens++
		if len(log.Samples) < samplesKept {
			log.Samples = append(log.Samples, maskLine(line))
		}
	}
}

// fullAddress tells whether a line has an address that is not shortened: the
// last byte of IPv4, or the last half of IPv6, is not zero. This machine itself
// is nobody.
func fullAddress(line string) bool {
	for _, at := range candidate.FindAllStringSubmatchIndex(line, -1) {
		if at[3] < len(line) && strings.IndexByte(" \t\"'])>,;:|\r", line[at[3]]) < 0 {
			continue // part of something longer, such as a version
		}
		if address, err := netip.ParseAddr(line[at[2]:at[3]]); err == nil && !address.IsLoopback() && !shortened(address) {
			return true
		}
	}
	return false
}

func shortened(address netip.Addr) bool {
	if address = address.Unmap(); address.Is4() {
		raw := address.As4()
		return raw[3] == 0
	}
	raw := address.As16()
	return !slices.ContainsFunc(raw[8:], func(b byte) bool { return b != 0 })
}

func tellsSecret(line string) bool {
	for _, pattern := range []*regexp.Regexp{logSecret, logInvite} {
		for _, match := range pattern.FindAllStringSubmatch(line, -1) {
			if !logMasked.MatchString(match[2]) {
				return true
			}
		}
	}
	return false
}

func hideSecrets(line string) string {
	line = logSecret.ReplaceAllString(line, "${1}"+redacted)
	return redact(logInvite.ReplaceAllString(line, "${1}"+redacted))
}

// maskLine makes a line that may be shown: without secrets, and without who it
// is about.
func maskLine(line string) string {
	// What the control characters were between may be a secret too, or an
	// address, once they are gone.
	line = hideSecrets(printable(hideSecrets(line)))
	line = candidate.ReplaceAllStringFunc(line, func(match string) string {
		at := candidate.FindStringSubmatchIndex(match)
		if _, err := netip.ParseAddr(match[at[2]:at[3]]); err != nil {
			return match
		}
		return match[:at[2]] + "[address]"
	})
	if short := []rune(line); len(short) > sampleWidth {
		return string(short[:sampleWidth])
	}
	return line
}
