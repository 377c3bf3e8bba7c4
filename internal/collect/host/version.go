package host

import "strings"

// compareVersions orders two versions of Debian packages, negative when a is
// older (Debian Policy 5.6.12).
func compareVersions(a, b string) int {
	epochA, restA := cutEpoch(a)
	epochB, restB := cutEpoch(b)
	if order := compareNumbers(epochA, epochB); order != 0 {
		return order
	}
	upstreamA, revisionA := cutRevision(restA)
	upstreamB, revisionB := cutRevision(restB)
	if order := comparePart(upstreamA, upstreamB); order != 0 {
		return order
	}
	return comparePart(revisionA, revisionB)
}

func cutEpoch(version string) (epoch, rest string) {
	if epoch, rest, found := strings.Cut(version, ":"); found {
		return epoch, rest
	}
	return "0", version
}

func cutRevision(version string) (upstream, revision string) {
	if at := strings.LastIndexByte(version, '-'); at >= 0 {
		return version[:at], version[at+1:]
	}
	return version, "0"
}

// comparePart compares texts and numbers in turn.
func comparePart(a, b string) int {
	for a != "" || b != "" {
		for a != "" && !digit(a[0]) || b != "" && !digit(b[0]) {
			if order := weight(a) - weight(b); order != 0 {
				return order
			}
			a, b = a[1:], b[1:] // of equal weight, so neither is at its end
		}
		numberA, numberB := leadingDigits(a), leadingDigits(b)
		if order := compareNumbers(numberA, numberB); order != 0 {
			return order
		}
		a, b = a[len(numberA):], b[len(numberB):]
	}
	return 0
}

// weight of the first character of a text: a tilde is before the end, and
// letters are before all others. A digit ends the text too.
func weight(text string) int {
	switch {
	case text == "" || digit(text[0]):
		return 0
	case text[0] == '~':
		return -1
	case text[0]|0x20 >= 'a' && text[0]|0x20 <= 'z':
		return int(text[0])
	}
	return int(text[0]) + 256
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func leadingDigits(text string) string {
	end := 0
	for end < len(text) && digit(text[end]) {
		end++
	}
	return text[:end]
}

// compareNumbers compares decimal numbers of any length; "" is 0.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}
