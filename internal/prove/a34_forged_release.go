package prove

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"rocca/internal/model"
	"rocca/internal/run"
	"rocca/internal/standin"
)

var a34 = Attack{
	ID:    "A34",
	Title: "a forged or an older release is offered to the updater",
	How: `Builds releases that should be refused, each with one fault, and offers them to rocca plan --release, which verifies as rocca up does and changes nothing: changed under its signature, signed by a stranger's key with that key beside it, without a signature, older but rightly signed, with ways out of its directory, links, a file that its manifest does not name or has another hash for.
Then every other account of the machine tries to open the program of the updater for writing.`,
	Risk:    "none: files below /run, and plans",
	Without: []Protection{programOwner},
	Applies: func(t *Target) string {
		if _, planted := t.updater(); !t.Rocca.Installed && !planted {
			return "nothing here updates with rocca"
		}
		return ""
	},
	Attempt: offerReleases,
}

var programOwner = Protection{
	ID:    "program-owner",
	Title: "the program of the updater is root's, and nobody else writes it",
	Part:  WatchPart,
	Remove: `for program in /usr/local/lib/rocca/rocca /usr/local/sbin/rocca /usr/local/bin/rocca; do
	[ ! -e $program ] || chmod 0777 $program
done`,
	Controls: []string{"UPD-07"},
}

// updater is the program that puts releases on this server.
func (t *Target) updater() (program string, is bool) {
	for _, name := range slices.Sorted(maps.Keys(t.Units)) {
		for _, exec := range t.Units[name].Exec {
			if path.Base(exec.Path) == "rocca" {
				return exec.Path, true
			}
		}
	}
	return t.Rocca.Program, false
}

// offer is a release that the updater must refuse, for the reason that refusal
// begins to tell.
type offer struct {
	what      string
	archive   []byte
	signature []byte // nil: none
	key       []byte // put beside the archive as that of its maker
	pin       []byte // key that the owner himself names; nil: Matomo's own counts
	refusals  []string
}

func offerReleases(ctx context.Context, t *Target, r *Record) error {
	if err := t.replaceProgram(r); err != nil {
		return err
	}
	offers, err := offersOf(t.Matomo.Version)
	if err != nil {
		return err
	}
	for _, o := range offers {
		if err := t.offer(ctx, r, o); err != nil {
			return err
		}
	}
	return nil
}

// offersOf builds the releases, for a server that has a version.
func offersOf(installed string) ([]offer, error) {
	ours, err := standin.NewKey()
	if err != nil {
		return nil, err
	}
	const older = "1.0.0-standin"
	whole, err := ours.Build(older)
	if err != nil {
		return nil, err
	}
	changed, err := rewrite(whole.Archive, func(f *tarFile) {
		if f.Name == "matomo/core/Common.php" {
			f.content = append(f.content, comment...)
		}
	})
	if err != nil {
		return nil, err
	}
	const noProof = "has no proof that it comes from Matomo"
	offers := []offer{
		{what: "changed, under its old signature", archive: changed, signature: whole.Signature, pin: whole.PublicKey, refusals: []string{"the signature by"}},
		{what: "signed by a stranger, whose key lies beside it as Matomo's", archive: whole.Archive, signature: whole.Signature, key: whole.PublicKey, refusals: []string{"could not be had", "is signed by the key"}},
		{what: "without a signature", archive: whole.Archive, refusals: []string{noProof}},
		{what: "older than " + installed + ", and rightly signed", archive: whole.Archive, signature: whole.Signature, pin: whole.PublicKey, refusals: []string{"does not change versions"}},
	}
	for _, bad := range []struct {
		what    string
		change  func(*tarFile)
		refusal string
	}{
		{"with a file above its directory", func(f *tarFile) {
			if f.Name == "matomo/README.md" {
				f.Name = "matomo/../../etc/rocca-prove"
			}
		}, "could lead out of the release"},
		{"with a link to /etc", func(f *tarFile) {
			if f.Name == "matomo/README.md" {
				f.Typeflag, f.Linkname, f.content = tar.TypeSymlink, "/etc", nil
			}
		}, "is a symbolic link"},
		{"with a file that its manifest does not name", func(f *tarFile) {
			if f.Name == "matomo/README.md" {
				f.Name = "matomo/rocca-prove.php"
			}
		}, "not as its manifest says"},
		{"with a file that its manifest has another hash for", func(f *tarFile) {
			if f.Name == "matomo/core/Common.php" {
				f.content = append(f.content, comment...)
			}
		}, "not as its manifest says"},
	} {
		archive, err := rewrite(whole.Archive, bad.change)
		if err != nil {
			return nil, err
		}
		signature, err := ours.Sign(archive)
		if err != nil {
			return nil, err
		}
		offers = append(offers, offer{what: bad.what + ", and rightly signed", archive: archive, signature: signature, pin: whole.PublicKey, refusals: []string{bad.refusal}})
	}
	return offers, nil
}

// tarFile is a file of an archive.
type tarFile struct {
	tar.Header
	content []byte
}

// rewrite packs an archive anew, with its files changed.
func rewrite(archive []byte, change func(*tarFile)) ([]byte, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, fmt.Errorf("forge a release: %w", err)
	}
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	to, from := tar.NewWriter(zipped), tar.NewReader(unzipped)
	for {
		header, err := from.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("forge a release: %w", err)
		}
		f := tarFile{Header: *header}
		if f.content, err = io.ReadAll(from); err != nil {
			return nil, fmt.Errorf("forge a release: %w", err)
		}
		change(&f)
		f.Size = int64(len(f.content))
		if err := to.WriteHeader(&f.Header); err != nil {
			return nil, fmt.Errorf("forge a release: %w", err)
		}
		if _, err := to.Write(f.content); err != nil {
			return nil, fmt.Errorf("forge a release: %w", err)
		}
	}
	if err := errors.Join(to.Close(), zipped.Close()); err != nil {
		return nil, fmt.Errorf("forge a release: %w", err)
	}
	return out.Bytes(), nil
}

func (t *Target) offer(ctx context.Context, r *Record, o offer) error {
	program, _ := t.updater()
	dir := "/run/" + Canary()
	if err := t.PlantDir(dir, "root", 0o700); err != nil {
		return err
	}
	archive, lock := path.Join(dir, "matomo.tar.gz"), path.Join(dir, "lock")
	files := map[string][]byte{archive: o.archive, archive + ".asc": o.signature, path.Join(dir, "signature.asc"): o.key, path.Join(dir, "owner.asc"): o.pin, lock: {}}
	for name, content := range files {
		if content == nil {
			continue
		}
		if err := t.Plant(name, "root", 0o600, string(content)); err != nil {
			return err
		}
	}
	argv := []string{program, "plan", "--brief", "--release", archive}
	if o.pin != nil {
		argv = append(argv, "--release-key", path.Join(dir, "owner.asc"))
	}
	c := withOwnMounts(ownLock(lock)+`exec "$@"`, argv...)
	c.Env = []string{"HTTPS_PROXY=http://127.0.0.1:9"} // a key that is not beside it is not looked for outside
	result, err := run.Do(ctx, c)
	try := model.Try{Who: "whoever can change a download, or answer it", What: "offer a release: " + o.what, Where: strings.Join(argv[:3], " ") + " --release", Sent: fmt.Sprintf("%d bytes", len(o.archive))}
	var failed *run.Error
	code := 0
	if errors.As(err, &failed) {
		code = failed.ExitCode
	}
	switch {
	case err == nil || code == 1:
		try.Fell, try.Answer = true, fmt.Sprintf("accepted, exit status %d: %s", code, lastLine(result.Stdout))
		try.Reproduce = offerAgain(t, program)
	case failed == nil || !refusedFor(failed.Output, o.refusals):
		return fmt.Errorf("offer a release %s: %w", o.what, err)
	default:
		try.Answer = firstLine(failed.Output)
	}
	r.Try(try)
	return nil
}

// refusedFor tells whether a refusal is for one of the reasons that it must be.
func refusedFor(output string, reasons []string) bool {
	return slices.ContainsFunc(reasons, func(reason string) bool { return strings.Contains(output, reason) })
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

func lastLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// offerAgain offers what is installed as an older version, and without proof of
// its origin. It ends with 0 when a plan is made of that.
func offerAgain(t *Target, program string) string {
	const copied = "/run/rocca-prove-again"
	return fmt.Sprintf(`cp -r %[1]s %[2]s; rm -rf %[2]s/misc/user %[2]s/bootstrap.php; sed -i "s/VERSION = '[0-9.]*/VERSION = '1.0.0/" %[2]s/core/Version.php; plan=$(%[3]s plan --brief --accept-unsigned --release %[2]s); r=$?; rm -r %[2]s; echo "$plan" | tail -n 1; [ $r -le 1 ]`,
		run.Quote([]string{t.Matomo.Real}), copied, run.Quote([]string{program}))
}

// replaceProgram tries to write to the updater as each other account: whoever
// does decides what it accepts.
func (t *Target) replaceProgram(r *Record) error {
	program, _ := t.updater()
	for _, user := range t.Others() {
		err := As(user, func() error {
			file, err := os.OpenFile(program, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			return file.Close() // nothing is written
		})
		try := model.Try{Who: "user " + user, What: "open the updater for writing", Where: program, Fell: err == nil || strings.Contains(err.Error(), "text file busy")}
		if err != nil {
			try.Answer = err.Error()
		}
		if try.Fell {
			try.Answer = "opened"
			try.Reproduce = fmt.Sprintf("setpriv --reuid=%s --regid=%s --clear-groups test -w %s && echo it can be replaced", user, group(user), run.Quote([]string{program}))
		}
		r.Try(try)
	}
	return nil
}
