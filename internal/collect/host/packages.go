package host

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
)

// lineLimit is the longest line of a package list, in bytes.
const lineLimit = 1 << 20

// stanza is what is read of one entry of dpkg's status file or of a package
// list.
type stanza struct {
	name, version, architecture, status string
}

// installation is what a stanza of dpkg's status file says of its package.
func (s stanza) installation() facts.Package {
	return facts.Package{Installed: strings.HasSuffix(s.status, " ok installed"), Version: s.version}
}

// readStanzas calls each for every entry of a deb822 text.
func readStanzas(r io.Reader, each func(stanza)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), lineLimit)
	var s stanza
	for lines.Scan() {
		line := lines.Bytes()
		if len(line) == 0 {
			if s.name != "" {
				each(s)
			}
			s = stanza{}
			continue
		}
		var into *string
		var value []byte
		switch line[0] {
		case 'P':
			value, into = after(line, "Package: "), &s.name
		case 'V':
			value, into = after(line, "Version: "), &s.version
		case 'A':
			value, into = after(line, "Architecture: "), &s.architecture
		case 'S':
			value, into = after(line, "Status: "), &s.status
		}
		if value != nil {
			*into = string(value)
		}
	}
	if s.name != "" {
		each(s)
	}
	return lines.Err()
}

func after(line []byte, prefix string) []byte {
	if len(line) > len(prefix) && string(line[:len(prefix)]) == prefix {
		return line[len(prefix):]
	}
	return nil
}

// packages looks up some packages in dpkg's status file.
func packages(wanted []string) (map[string]facts.Package, error) {
	found := map[string]facts.Package{}
	if len(wanted) == 0 {
		return found, nil
	}
	for _, name := range wanted {
		found[name] = facts.Package{}
	}
	f, err := os.Open("/var/lib/dpkg/status")
	if err != nil {
		return nil, fmt.Errorf("read installed packages: %w", err)
	}
	defer f.Close()
	err = readStanzas(f, func(s stanza) {
		if _, asked := found[s.name]; asked {
			found[s.name] = s.installation()
		}
	})
	return found, err
}

// installed are the packages that are installed, by name, and the architecture
// of each. Of one that is installed for several architectures one is kept.
type installed struct {
	packages     map[string]facts.Package
	architecture map[string]string
}

func dpkgStatus(root Root) (installed, error) {
	found := installed{map[string]facts.Package{}, map[string]string{}}
	f, err := root.open("/var/lib/dpkg/status", unix.O_NOFOLLOW, 0)
	if err != nil {
		return found, fmt.Errorf("read installed packages: %w", err)
	}
	defer f.Close()
	err = readStanzas(f, func(s stanza) {
		p := s.installation()
		if found.packages[s.name].Installed || !p.Installed {
			return
		}
		found.packages[s.name] = p
		found.architecture[s.name] = s.architecture
	})
	if err != nil {
		return found, fmt.Errorf("read installed packages: %w", err)
	}
	return found, nil
}
