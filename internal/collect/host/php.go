package host

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
)

var fpmBinary = regexp.MustCompile(`^php-fpm(\d+\.\d+)$`)

// phpBranch finds the branch of PHP: that of the newest php-fpm installed, or
// else the one that the package php-fpm of the distribution stands for.
func phpBranch() (facts.PHP, error) {
	programs, err := filepath.Glob("/usr/sbin/php-fpm*")
	if err != nil {
		return facts.PHP{}, fmt.Errorf("look for php-fpm: %w", err)
	}
	slices.Sort(programs)
	slices.Reverse(programs)
	for _, program := range programs {
		if match := fpmBinary.FindStringSubmatch(filepath.Base(program)); match != nil {
			return facts.PHP{Branch: match[1]}, nil
		}
	}
	lists, err := filepath.Glob("/var/lib/apt/lists/*_Packages")
	if err != nil {
		return facts.PHP{}, fmt.Errorf("look for php-fpm in package lists: %w", err)
	}
	for _, list := range lists {
		branch, err := offeredBranch(list)
		if err != nil || branch != "" {
			return facts.PHP{Branch: branch}, err
		}
	}
	return facts.PHP{}, nil
}

var fpmDependency = regexp.MustCompile(`\bphp(\d+\.\d+)-fpm\b`)

// offeredBranch reads what the package php-fpm depends on from a package list.
func offeredBranch(list string) (string, error) {
	f, err := os.Open(list)
	if err != nil {
		return "", fmt.Errorf("look for php-fpm in package lists: %w", err)
	}
	defer f.Close()
	inside := false
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "Package: ") {
			inside = line == "Package: php-fpm"
		}
		if inside && strings.HasPrefix(line, "Depends: ") {
			if match := fpmDependency.FindStringSubmatch(line); match != nil {
				return match[1], nil
			}
		}
	}
	return "", lines.Err()
}
