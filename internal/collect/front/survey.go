package front

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/rooted"
	"rocca/internal/run"
)

// servers are the programs that can be a front.
var servers = []struct {
	name, main, program, unit string
}{
	{"nginx", nginxMain, "/usr/sbin/nginx", "nginx.service"},
	{"apache2", apacheMain, "/usr/sbin/apache2", "apache2.service"},
}

// Survey reads the configuration of the public web server with all that it
// includes, and the certificates that it uses. Of two that are installed, the
// one that runs is the front. Known are the units, listeners, packages and jobs
// of the machine, as far as they were seen.
//
// A directive's value is its words without quotes, joined by one space. The
// sections of Apache's main server are among the locations of each site that
// they can concern, before its own.
func Survey(ctx context.Context, root string, known facts.Server) (facts.Front, map[string]facts.Certificate, error) {
	c := newConf(rooted.Dir(root))
	chosen, other := choose(c.root, known)
	var f facts.Front
	switch chosen {
	case "":
		return f, nil, nil
	case "nginx":
		f = c.nginx(nginxMain)
		f.Version = version(ctx, root, known, chosen)
	case "apache2":
		number := version(ctx, root, known, chosen)
		f = c.apache(apacheMain, number)
		f.Version = number
	}
	if other != "" {
		f.Faults = append(f.Faults, other+" runs too; its configuration was not read")
	}
	return f, certificates(c.root, f, known), nil
}

// choose picks the program that is the front; other is a second one that runs.
func choose(root rooted.Dir, known facts.Server) (chosen, other string) {
	best := -1
	for _, s := range servers {
		if !root.Exists(s.main) || !root.Exists(s.program) {
			continue
		}
		score, runs := 0, known.Units[s.unit].Active
		if known.Units[s.unit].Enabled {
			score = 1
		}
		if runs {
			score = 2
		}
		for _, l := range known.Listeners {
			if l.Program != s.name {
				continue
			}
			runs = true
			switch l.Port {
			case 443:
				score = max(score, 5)
			case 80:
				score = max(score, 4)
			default:
				score = max(score, 3)
			}
		}
		switch {
		case score > best:
			if best >= 2 {
				other = chosen
			}
			chosen, best = s.name, score
		case runs:
			other = s.name
		}
	}
	return chosen, other
}

var (
	upstreamVersion = regexp.MustCompile(`^(?:\d+:)?(\d+(?:\.\d+)+)`)
	saidVersion     = regexp.MustCompile(`(?:nginx|Apache)/(\d+(?:\.\d+)+)`)
)

// version is that of the package, or else what the program says. It is empty
// when neither tells.
func version(ctx context.Context, root string, known facts.Server, program string) string {
	if match := upstreamVersion.FindStringSubmatch(known.Packages[program].Version); match != nil {
		return match[1]
	}
	if root != "/" {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	result, err := run.Do(ctx, run.Command{Argv: []string{program, "-v"}})
	if err != nil {
		return ""
	}
	match := saidVersion.FindStringSubmatch(string(result.Stdout) + string(result.Stderr))
	if match == nil {
		return ""
	}
	return match[1]
}

// certificateFiles are the files that sites use, in order.
func certificateFiles(f facts.Front) []string {
	var files []string
	add := func(file string) {
		if strings.HasPrefix(file, "/") && !strings.Contains(file, "$") && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	for _, site := range f.Sites {
		if !slices.ContainsFunc(site.Listens, func(l facts.Listen) bool { return l.TLS }) {
			continue
		}
		add(site.Chain)
		for _, name := range []string{"ssl_certificate", "sslcertificatefile"} {
			for _, setting := range site.Directives[name] {
				add(setting.Value)
			}
		}
	}
	return files
}
