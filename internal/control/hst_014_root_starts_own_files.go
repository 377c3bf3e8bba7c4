package control

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var hst014 = Control{
	ID:       "HST-14",
	Title:    "root's jobs and units start only files that no other user can replace",
	Why:      "Whoever can change a script that root runs every night is root the next morning. A directory above that others may write to is enough: they rename it and put their own in its place.",
	Severity: model.Critical,
	Needs:    principals,
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		targets := startedByRoot(v.Server)
		for _, name := range slices.Sorted(maps.Keys(targets)) {
			want := "replaceable by root only, because of " + targets[name]
			found = append(found, ways(name, v.Reach.Writers(name), want)...)
			if within(name, v.Matomo.Root) || within(name, v.Matomo.Real) { // it includes the rest of the code
				found = append(found, ways(name, v.Reach.WritersBelow(v.Matomo.Real), want)...)
			}
		}
		return conclude(found, nil)
	},
	Fix:    automatic("chown root:root FILE && chmod go-w FILE, and the same for every directory above it; or run the job as the user that owns the file", unitSteps...),
	Attack: "A03",
	Maps:   []model.Ref{debian("2.4.1.x"), s2("23")},
	Since:  "0.3",
}

// interpreters run the files that they are given.
var interpreters = []string{"sh", "bash", "dash", "php", "perl", "python", "ruby", "node", "env", "nice", "ionice", "timeout", "flock", "chronic", "sudo", "run-parts"}

// startedByRoot are the files that root runs or takes settings from without
// being asked, each with what says so, and the directories that such files are
// looked for in.
func startedByRoot(s facts.Server) map[string]string {
	targets := map[string]string{}
	add := func(name, by string) {
		if strings.HasPrefix(name, "/") && !slices.ContainsFunc([]string{"/dev", "/proc", "/sys"}, func(top string) bool { return within(name, top) }) {
			targets[name] = by
		}
	}
	for _, job := range s.Jobs {
		if job.User != "root" && job.User != "" {
			continue
		}
		by := fmt.Sprintf("%s:%d", job.File, job.Line)
		add(job.File, by)
		add(path.Dir(job.File), by)
		for _, program := range started(s, job.Programs) {
			add(program, by)
		}
	}
	for name, unit := range s.Units {
		root := unit.User == "" && !unit.DynamicUser || unit.User == "root"
		for _, exec := range unit.Exec {
			if !root && !exec.Root {
				continue
			}
			words := []string{exec.Path}
			for _, arg := range exec.Args {
				words = append(words, strings.FieldsFunc(arg, func(r rune) bool { return strings.ContainsRune(" \t\n;&|()<>'\"=", r) })...)
			}
			for _, program := range started(s, words) {
				add(program, name)
			}
		}
		if len(unit.Exec) == 0 || !root {
			continue
		}
		for _, file := range slices.Concat([]string{unit.Fragment}, unit.DropIns, unit.EnvFiles) {
			add(file, name)
			add(path.Dir(file), name)
		}
	}
	return targets
}

// started are the files of a command that run: the first, and further ones that
// are programs themselves or are given to an interpreter.
func started(s facts.Server, words []string) []string {
	if len(words) == 0 {
		return nil
	}
	base := strings.TrimRight(path.Base(words[0]), "0123456789.")
	interpreted := slices.Contains(interpreters, base)
	run := []string{words[0]}
	for _, word := range words[1:] {
		p := inode(s, word)
		for hops := 0; p.Type == facts.Symlink && hops < 8; hops++ {
			if !path.IsAbs(p.Target) {
				p.Target = path.Join(path.Dir(word), p.Target)
			}
			p = inode(s, p.Target)
		}
		if p.Type == facts.File && (interpreted || p.Mode&0o111 != 0) {
			run = append(run, word)
		}
	}
	return run
}
