package settings

import (
	"regexp"
	"strings"
)

var (
	instanceType = regexp.MustCompile(`^[a-z][a-z0-9-]*\.[a-z0-9-]+$`)
	// Family, generation and what is special: m7g, im4gn, x2gd.
	instanceFamily = regexp.MustCompile(`^([a-z]+)([0-9]+)([a-z]*)`)
)

// architecture is that of an EC2 instance type as Debian names it. AWS's own
// processors (Graviton) have a g among the letters behind the generation; those
// before it are of the purpose, such as g for graphics. The first were a1.
func architecture(instance string) string {
	family, _, _ := strings.Cut(instance, ".")
	parts := instanceFamily.FindStringSubmatch(family)
	if family == "a1" || parts != nil && strings.Contains(parts[3], "g") {
		return "arm64"
	}
	return "amd64"
}
