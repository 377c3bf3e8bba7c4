package advisories

import (
	"regexp"
	"strconv"
	"strings"
)

var (
	stable = regexp.MustCompile(`^\d+(\.\d+)+$`)
	part   = regexp.MustCompile(`\d+|[a-zA-Z]+`)
)

// Stable tells whether a version is one without "-b1", "-rc2" and the like.
func Stable(version string) bool { return stable.MatchString(version) }

// Compare orders versions as PHP's version_compare does, which Matomo uses:
// below zero when a is older than b. "5.3.0-b1" is older than "5.3.0-rc1", and
// that is older than "5.3.0"; nothing is oldest.
func Compare(a, b string) int {
	left, right := part.FindAllString(a, -1), part.FindAllString(b, -1)
	for i := range max(len(left), len(right)) {
		var x, y string
		if i < len(left) {
			x = left[i]
		}
		if i < len(right) {
			y = right[i]
		}
		if order := compareParts(x, y); order != 0 {
			return order
		}
	}
	return 0
}

func compareParts(x, y string) int {
	if rank(x) != rank(y) {
		return rank(x) - rank(y)
	}
	if !isNumber(x) || !isNumber(y) {
		return 0
	}
	x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
	if len(x) != len(y) {
		return len(x) - len(y)
	}
	return strings.Compare(x, y)
}

func isNumber(part string) bool {
	_, err := strconv.ParseUint(part[:min(len(part), 1)], 10, 8)
	return err == nil
}

// rank orders the kinds of parts: a word that PHP does not know, "dev",
// "alpha", "beta", "rc", the end, a number, "pl".
func rank(part string) int {
	switch lower := strings.ToLower(part); {
	case part == "":
		return 5
	case isNumber(part):
		return 6
	case strings.HasPrefix(lower, "dev"):
		return 1
	case strings.HasPrefix(lower, "a"):
		return 2
	case strings.HasPrefix(lower, "b"):
		return 3
	case strings.HasPrefix(lower, "rc") || lower == "c":
		return 4
	case strings.HasPrefix(lower, "p"):
		return 7
	}
	return 0
}
