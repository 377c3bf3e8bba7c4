// Package rocca_test holds the rules of this repository as tests: what may
// import what, who may write, who may start a process, and what a file of it
// must and must not have. Each failure names the rule and the line.
package rocca_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// source is one Go file of this repository.
type source struct {
	path    string // from the root, with slashes
	pkg     string // directory of it
	test    bool
	text    []byte
	file    *ast.File
	imports map[string]string // name in this file to import path
}

var fileSet = token.NewFileSet()

// sources parses every Go file. Data of tests is not ours to judge.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	for _, name := range files(t) {
		if path.Ext(name) != ".go" || strings.Contains(name, "testdata/") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.ParseFile(fileSet, name, text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		s := source{path: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), text: text, file: parsed, imports: map[string]string{}}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			local := path.Base(imported)
			if spec.Name != nil {
				local = spec.Name.Name
			}
			s.imports[local] = imported
		}
		all = append(all, s)
	}
	if len(all) < 20 {
		t.Fatalf("found only %d Go files: is this the root of the repository?", len(all))
	}
	return all
}

// built are what make leaves in a checkout, and git's own.
var built = []string{".git", "bin", "dist", "rocca"}

// files lists the files of this repository.
func files(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a test of another package has just removed it
		}
		if err != nil {
			return err
		}
		if slices.Contains(built, name) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() {
			names = append(names, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func at(node ast.Node) string { return fileSet.Position(node.Pos()).String() }

// within tells whether a package is a directory or lies below it.
func within(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

// directions say which packages of rocca a package may import (only), which
// imports of any kind it may not have (never), and why. Packages that are not
// there yet wait here for their first line.
var directions = []struct {
	pkg   string
	only  []string // packages of rocca, with all below each; nil: no limit
	never []string // import paths; below "rocca/" with all below each
	why   string
}{
	{pkg: "internal/model", only: []string{}, why: "the nouns stand on nothing"},
	{pkg: "internal/facts", only: []string{"internal/model", "internal/secret"}, why: "facts are plain data"},
	{pkg: "internal/collect/inode", only: []string{"internal/facts"}, why: "observers of files stand on it"},
	{pkg: "internal/collect/mountinfo", only: []string{}, why: "observers of mounts stand on it"},
	{pkg: "internal/collect/files", only: []string{"internal/facts", "internal/secret", "internal/matomo/release", "internal/collect/inode", "internal/collect/mountinfo", "internal/collect/files"}, why: "an observer reads one outside thing and knows no other"},
	{pkg: "internal/collect/host", only: []string{"internal/facts", "internal/model", "internal/run", "internal/collect/inode", "internal/collect/mountinfo", "internal/rooted", "internal/secret", "internal/collect/host"}, why: "an observer reads one outside thing and knows no other"},
	{pkg: "internal/collect/db", only: []string{"internal/facts", "internal/model", "internal/run", "internal/secret", "internal/mariadb", "internal/rooted", "internal/collect/db"}, why: "an observer reads one outside thing and knows no other"},
	{pkg: "internal/collect/front", only: []string{"internal/facts", "internal/model", "internal/rooted", "internal/run", "internal/collect/front"}, why: "an observer reads one outside thing and knows no other"},
	{pkg: "internal/collect/php", only: []string{"internal/facts", "internal/model", "internal/rooted", "internal/run", "internal/collect/php"}, why: "an observer reads one outside thing and knows no other"},
	{pkg: "internal/collect/app", only: []string{"internal/facts", "internal/model", "internal/run", "internal/secret", "internal/rooted", "internal/matomo/ini", "internal/matomo/release", "internal/matomo/advisories", "internal/collect/app"}, why: "an observer reads one outside thing and knows no other"},
	{pkg: "internal/collect/cloud", only: []string{"internal/aws/client", "internal/facts", "internal/model", "internal/run", "internal/collect/cloud"}, why: "an observer reads one outside thing and knows no other"},
	{pkg: "internal/collect", never: []string{"rocca/internal/control", "rocca/internal/change", "rocca/internal/blueprint"}, why: "observers neither judge nor change"},
	{pkg: "internal/control", only: []string{"internal/model", "internal/facts", "internal/reach", "internal/control"}, never: outside, why: "a control is a pure function of facts"},
	{pkg: "internal/reach", only: []string{"internal/model", "internal/facts", "internal/reach"}, never: outside, why: "the graph is built from facts alone"},
	{pkg: "internal/change", never: []string{"rocca/internal/collect", "rocca/internal/blueprint", "rocca/internal/control"}, why: "steps are given their facts"},
	{pkg: "internal/prove", never: []string{"rocca/internal/change", "rocca/internal/blueprint"}, why: "an attack never repairs"},
	{pkg: "internal/picture", only: []string{"internal/model"}, never: outside, why: "a drawing knows boxes and lines and nothing else"},
	{pkg: "internal/report", only: []string{"internal/model", "internal/picture", "internal/report"}, why: "a format knows findings and nothing else"},
	{pkg: "internal/front", only: []string{}, never: outside, why: "the rules of the front are pure: text in, text out"},
	{pkg: "internal/run", only: []string{}, why: "everything starts processes through it"},
	{pkg: "internal/rooted", only: []string{}, why: "observers read files of others through it"},
	{pkg: "internal/secret", only: []string{}, why: "everything holds secrets in it"},
	{pkg: "internal/progress", only: []string{}, why: "everything tells its progress through it"},
	{pkg: "internal/durable", only: []string{}, why: "everything that replaces a file does it so"},
	{pkg: "internal/document", only: []string{}, why: "configuration files are read through it"},
	{pkg: "internal/aws/settings", only: []string{"internal/document"}, why: "what is wanted depends on nothing that is there"},
	{pkg: "internal/aws/stack", only: []string{"internal/aws/settings", "internal/aws/instance"}, why: "templates are rendered from settings alone"},
	{pkg: "internal/aws/watch", only: []string{"internal/aws/client", "internal/model"}, why: "an observer knows nothing of what is done about it"},
	{pkg: "internal/incident", only: []string{"internal/durable", "internal/progress", "internal/secret"}, why: "an incident is the same on one server and on AWS"},
	{pkg: "internal/triage", only: []string{"internal/collect/host", "internal/facts", "internal/rooted", "internal/run", "internal/secret"}, why: "what is in memory is looked at by reading only"},
	{pkg: "internal/rotate", never: []string{"rocca/internal/aws"}, why: "a server rotates without AWS, too"},
	{pkg: "internal/aws/check", only: []string{}, why: "a list of checks knows nothing of what was checked"},
	{pkg: "internal/matomo", never: []string{"rocca/internal/change", "rocca/internal/blueprint", "rocca/internal/collect"}, why: "what Matomo is does not depend on what is done to a server"},
	{pkg: "internal", never: []string{"rocca/cmd", "rocca/test"}, why: "commands stand on packages, not the other way"},
}

// outside are the imports that can touch the outside.
var outside = []string{"os", "os/exec", "os/user", "net", "net/http", "syscall", "golang.org/x/sys/unix", "io/ioutil", "database/sql"}

func TestDirections(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, d := range directions {
			if !within(s.pkg, d.pkg) {
				continue
			}
			for _, spec := range s.file.Imports {
				imported, _ := strconv.Unquote(spec.Path.Value)
				if own, ours := strings.CutPrefix(imported, "rocca/"); ours && d.only != nil && !below(own, d.only) {
					t.Errorf("%s: %s must not import %s: %s", at(spec), s.pkg, imported, d.why)
				}
				if below(imported, d.never) {
					t.Errorf("%s: %s must not import %s: %s", at(spec), s.pkg, imported, d.why)
				}
			}
		}
	}
}

// below tells whether an import is one of those listed, or, of rocca's own,
// lies below one.
func below(imported string, list []string) bool {
	return slices.ContainsFunc(list, func(listed string) bool {
		return imported == listed || (strings.HasPrefix(listed, "rocca/") || strings.HasPrefix(listed, "internal/")) && within(imported, listed)
	})
}

func TestFactsAreStandardLibraryOnly(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.pkg != "internal/facts" && s.pkg != "internal/model" && s.pkg != "internal/secret" && s.pkg != "internal/run" {
			continue
		}
		for _, spec := range s.file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") {
				t.Errorf("%s: %s imports the module %s; it may import the standard library only", at(spec), s.pkg, imported)
			}
		}
	}
}

func TestCloudClientsStayInTheCloudPackages(t *testing.T) {
	for _, s := range sources(t) {
		if s.pkg == "test" {
			continue // tests of whole servers compile everything anyway
		}
		for _, spec := range s.file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if strings.HasPrefix(imported, "github.com/aws/") && !within(s.pkg, "internal/aws") && !within(s.pkg, "internal/collect/cloud") {
				t.Errorf("%s: AWS clients are imported below internal/aws and internal/collect/cloud only, so that the rest compiles in seconds", at(spec))
			}
		}
	}
}

// mayWrite lists all code that changes the system but tests. Everything else
// goes through change.Writer, which records a change before it is made.
var mayWrite = []struct{ where, reason string }{
	{"internal/change/", "it is the writer, and its journal"},
	{"internal/durable/", "the one way to replace a file; who may call it is said here, too"},
	{"internal/backup/", "restore drills, in a directory of their own"},
	{"internal/gate/spool/", "the spool of the gate"},
	{"internal/demo/", "throw-away servers, in directories of their own below /var/lib/rocca-demo and /var/cache/rocca"},
	{"internal/testhost/", "throw-away servers of tests"},
	{"internal/prove/", "canaries of attacks, which are listed before they are made, and removed"},
	{"internal/config/template.go", "rocca config init makes the directory of the file that its owner named"},
	{"internal/document/file.go", "a new configuration file that its owner named, and never over another"},
	{"internal/aws/image/pin/pin.go", "rocca aws image --pin writes the image into the owner's settings"},
	{"internal/aws/shell/connect.go", "socket and host keys of one SSH session, in a directory of its own"},
	{"internal/aws/instance/boot/boot.go", "what up reads on an instance (rocca.yaml and credentials), before there is a journal"},
	{"internal/aws/instance/report/logs.go", "how far the journal was sent, in a directory of its own"},
	{"internal/aws/instance/report/install.go", "the units that report, installed by user data"},
	{"internal/incident/", "the folder of a case: journal and evidence, for its responder only"},
	{"internal/respond/cutoff.go", "the block of an incident, which must work when the journal of changes cannot be trusted; its case keeps the way back"},
	{"internal/respond/sessions.go", "session files of Matomo that are ended"},
	{"internal/rotate/", "configuration with new secrets, and the journal of rotations"},
	{"internal/aws/rotate/journal.go", "the journal of a rotation, in the operator's directory, without secrets"},
	{"internal/aws/wholetest/", "the authority that a program under test trusts"},
	{"internal/aws/assembly/assembly.go", "templates, in the directory that their reader named"},
	{"internal/testnode/", "programs of npm for tests, in the user's cache"},
	{"internal/run/run.go", "the log of a process that goes on by itself"},
	{"cmd/rocca/session.go", "the lock file, which is no state of the server"},
	{"cmd/rocca/deliver.go", "a report, into the file that its reader named with -o"},
}

var (
	osWrites = []string{"WriteFile", "Create", "CreateTemp", "Mkdir", "MkdirAll", "MkdirTemp", "Chmod", "Chown", "Lchown", "Chtimes",
		"Rename", "Remove", "RemoveAll", "Symlink", "Link", "Truncate", "CopyFS"}
	durableWrites = []string{"Write", "Fill"}
	kernelWrites  = []string{"Mkdir", "Mkdirat", "Mknod", "Mknodat", "Mkfifo", "Mkfifoat", "Unlink", "Unlinkat", "Rmdir", "Rename", "Renameat", "Renameat2",
		"Link", "Linkat", "Symlink", "Symlinkat", "Chmod", "Fchmod", "Fchmodat", "Chown", "Lchown", "Fchown", "Fchownat", "Truncate", "Ftruncate",
		"Setxattr", "Lsetxattr", "Fsetxattr", "Removexattr", "Lremovexattr", "Fremovexattr", "Utimes", "UtimesNano", "UtimesNanoAt", "Futimes",
		"Mount", "Unmount", "PivotRoot", "Creat"}
	writeFlags = []string{"O_WRONLY", "O_RDWR", "O_CREATE", "O_CREAT", "O_TRUNC", "O_APPEND", "O_TMPFILE"}
)

func TestOnlyTheWriterWrites(t *testing.T) {
	used := map[string]bool{}
	all := sources(t)
	for _, s := range all {
		if s.test {
			continue
		}
		for _, call := range writes(s, packageUsesRoot(all, s.pkg)) {
			allowed := false
			for _, place := range mayWrite {
				if s.path == place.where || strings.HasSuffix(place.where, "/") && strings.HasPrefix(s.path, place.where) {
					allowed, used[place.where] = true, true
				}
			}
			if !allowed {
				t.Errorf("%s writes, which is only for change.Writer; an exception needs a line with its reason in mayWrite", call)
			}
		}
	}
	for _, place := range mayWrite {
		if _, err := os.Stat(place.where); err == nil && !used[place.where] {
			t.Errorf("mayWrite: %s writes nothing any more; take the line out", place.where)
		}
	}
}

// writes lists the calls of a file that change the system. Methods of os.Root
// are told by their names, in packages that use it.
func writes(s source, methods bool) []string {
	var found []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, isCall := n.(*ast.CallExpr)
		if !isCall {
			return true
		}
		selector, isSelector := call.Fun.(*ast.SelectorExpr)
		if !isSelector {
			return true
		}
		name, from := selector.Sel.Name, "method"
		if x, plain := selector.X.(*ast.Ident); plain && x.Obj == nil && s.imports[x.Name] != "" {
			from = s.imports[x.Name]
		}
		switch from {
		case "os":
			if slices.Contains(osWrites, name) || name == "OpenFile" && opensToWrite(call) {
				found = append(found, at(call)+": os."+name)
			}
		case "rocca/internal/durable":
			if slices.Contains(durableWrites, name) {
				found = append(found, at(call)+": durable."+name)
			}
		case "golang.org/x/sys/unix", "syscall":
			if slices.Contains(kernelWrites, name) || strings.HasPrefix(name, "Open") && opensToWrite(call) {
				found = append(found, at(call)+": "+path.Base(from)+"."+name)
			}
		case "method":
			if methods && (slices.Contains(osWrites, name) || name == "OpenFile" && opensToWrite(call)) {
				found = append(found, at(call)+": (os.Root)."+name)
			}
		}
		return true
	})
	return found
}

func opensToWrite(call *ast.CallExpr) bool {
	writing := false
	ast.Inspect(call, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok && slices.Contains(writeFlags, selector.Sel.Name) {
			writing = true
		}
		return true
	})
	return writing
}

func packageUsesRoot(all []source, pkg string) bool {
	return slices.ContainsFunc(all, func(s source) bool {
		return s.pkg == pkg && !s.test && (bytes.Contains(s.text, []byte("os.OpenRoot(")) || bytes.Contains(s.text, []byte("*os.Root")))
	})
}

func TestOnlyRunStartsProcesses(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.pkg == "internal/run" {
			continue
		}
		for _, imported := range s.imports {
			if imported == "os/exec" {
				t.Errorf("%s imports os/exec; start processes through internal/run", s.path)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, plain := selector.X.(*ast.Ident)
			if plain && s.imports[x.Name] == "os" && selector.Sel.Name == "StartProcess" ||
				plain && s.imports[x.Name] == "syscall" && slices.Contains([]string{"Exec", "ForkExec", "StartProcess"}, selector.Sel.Name) {
				t.Errorf("%s: start processes through internal/run", at(selector))
			}
			return true
		})
	}
}

func TestNoInitAndNoVagueNames(t *testing.T) {
	vague := []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "lib", "base"}
	for _, s := range sources(t) {
		if slices.Contains(vague, strings.TrimSuffix(s.file.Name.Name, "_test")) {
			t.Errorf("%s: the package name %s says nothing about what is in it", s.path, s.file.Name.Name)
		}
		for _, declared := range s.file.Decls {
			if function, ok := declared.(*ast.FuncDecl); ok && function.Recv == nil && function.Name.Name == "init" {
				t.Errorf("%s: importing a package must have no effect; register in an explicit list instead of init", at(function))
			}
		}
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	packages := map[string]bool{} // with a package comment
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		packages[s.pkg] = packages[s.pkg] || s.file.Doc != nil
		if s.file.Name.Name == "main" {
			continue
		}
		for _, declared := range s.file.Decls {
			for _, name := range undocumented(declared) {
				t.Errorf("%s: %s has no doc comment", at(declared), name)
			}
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(packages)) {
		if !packages[pkg] {
			t.Errorf("%s: no file has a package comment", pkg)
		}
	}
}

// undocumented lists the exported names that a declaration leaves without a
// comment. The comment of a group serves each of it.
func undocumented(declared ast.Decl) []string {
	var names []string
	switch d := declared.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && (d.Recv == nil || exportedReceiver(d.Recv)) {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
					names = append(names, spec.Name.Name)
				}
			case *ast.ValueSpec:
				if d.Doc != nil || spec.Doc != nil || spec.Comment != nil {
					continue
				}
				for _, name := range spec.Names {
					if name.IsExported() {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}

func exportedReceiver(list *ast.FieldList) bool {
	receiver := list.List[0].Type
	for {
		switch r := receiver.(type) {
		case *ast.StarExpr:
			receiver = r.X
		case *ast.IndexExpr:
			receiver = r.X
		case *ast.Ident:
			return r.IsExported()
		default:
			return false
		}
	}
}

// properNames may begin an error.
var properNames = []string{"Apache", "Debian", "Go", "MariaDB", "Matomo", "MySQL", "PHP", "OpenPGP", "URL", "TLS"}

func TestErrorsStartInLowerCase(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			selector, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, plain := selector.X.(*ast.Ident)
			if !plain || x.Name+"."+selector.Sel.Name != "errors.New" && x.Name+"."+selector.Sel.Name != "fmt.Errorf" {
				return true
			}
			text, ok := literal(call.Args[0])
			if !ok {
				return true
			}
			first, _ := utf8.DecodeRuneInString(text)
			word := strings.FieldsFunc(text+" ", func(r rune) bool { return !unicode.IsLetter(r) })
			if unicode.IsUpper(first) && len(word) > 0 && !slices.Contains(properNames, word[0]) {
				t.Errorf("%s: an error starts in lower case: %q", at(call), text)
			}
			if strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "...") || strings.HasSuffix(text, "\n") {
				t.Errorf("%s: an error ends without a stop: %q", at(call), text)
			}
			return true
		})
	}
}

// literal reads a string constant that is written out, also in several parts.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, ok := literal(e.X)
		if right, both := literal(e.Y); both {
			return left + right, ok
		}
		return left + "…", ok // the end is not known
	}
	return "", false
}

func TestFormatted(t *testing.T) {
	for _, s := range sources(t) {
		formatted, err := format.Source(s.text)
		if err != nil {
			t.Fatalf("%s: %v", s.path, err)
		}
		if !bytes.Equal(formatted, s.text) {
			t.Errorf("%s: not formatted; gofmt -w %[1]s", s.path)
		}
	}
}

func TestModuleFileIsTidy(t *testing.T) {
	out, err := exec.Command("go", "mod", "tidy", "-diff").CombinedOutput()
	if err == nil {
		return
	}
	if !bytes.Contains(out, []byte("+++ ")) && os.Getenv("CI") != "true" {
		t.Skipf("go mod tidy -diff could not be asked: %s", out)
	}
	t.Errorf("go.mod or go.sum is not tidy; go mod tidy\n%s", out)
}

func TestDependenciesAreJustified(t *testing.T) {
	required := requirements(t)
	direct := map[string]string{} // module to a file that imports it
	for _, s := range sources(t) {
		for _, imported := range s.imports {
			if module := moduleOf(imported, required); module != "" {
				direct[module] = s.path
			}
		}
	}
	page, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
	modules, _, _ := strings.Cut(string(page), "\n## Tools")
	for _, match := range row.FindAllStringSubmatch(modules, -1) {
		listed[match[1]] = true
	}
	// The modules of one project stand in one line, under the name of the first.
	family := func(module string) string {
		for name := range listed {
			if within(module, name) {
				return name
			}
		}
		return ""
	}
	for module, where := range direct {
		if name := family(module); name != "" {
			direct[name] = where
		} else {
			t.Errorf("%s imports %s, which has no line in docs/dependencies.md that says why", where, module)
		}
	}
	for module := range listed {
		if direct[module] == "" {
			t.Errorf("docs/dependencies.md: nothing imports %s; take the line out, and the module out of go.mod", module)
		}
	}
}

// requirements lists the modules that go.mod requires.
func requirements(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var modules []string
	for _, match := range regexp.MustCompile(`(?m)^(?:require )?\t?(\S+\.\S+) v\S+`).FindAllStringSubmatch(string(text), -1) {
		modules = append(modules, match[1])
	}
	if len(modules) == 0 {
		t.Fatal("go.mod: found no requirement")
	}
	return modules
}

func moduleOf(imported string, modules []string) string {
	longest := ""
	for _, module := range modules {
		if within(imported, module) && len(module) > len(longest) {
			longest = module
		}
	}
	return longest
}

// TestNothingOfAWorkplace looks for what names one developer's machine instead
// of any: its directories, its name, and the mirrors that it uses.
func TestNothingOfAWorkplace(t *testing.T) {
	forbidden := map[string]string{}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	// The directory above a checkout tells where its developer works, unless it
	// is one that every machine has.
	for _, dir := range []string{root, filepath.Dir(root)} {
		if !slices.Contains([]string{"/", "/home", "/root", "/srv", "/opt", "/tmp", "/usr", "/usr/src", "/usr/local", "/usr/local/src", "/var", "/var/lib", "/var/tmp", "/build", "/src", "/go", "/app"}, dir) {
			forbidden[regexp.QuoteMeta(dir)+`\b`] = "a directory of this machine"
		}
	}
	for _, variable := range []string{"GOMODCACHE", "GOCACHE"} {
		if value, err := exec.Command("go", "env", variable).Output(); err == nil && len(bytes.TrimSpace(value)) > 1 {
			forbidden[regexp.QuoteMeta(string(bytes.TrimSpace(value)))+`\b`] = "a directory of this machine"
		}
	}
	forbidden[`/(?:home|Users)/[a-z][a-z0-9_-]+/`] = "somebody's home directory"
	// Public ones may be named; a workplace's own may not.
	if proxies, err := exec.Command("go", "env", "GOPROXY").Output(); err == nil {
		for _, proxy := range strings.FieldsFunc(strings.TrimSpace(string(proxies)), func(r rune) bool { return r == ',' || r == '|' }) {
			host := regexp.MustCompile(`^https?://(?:[^@/]*@)?([^/:]+)`).FindStringSubmatch(proxy)
			if host != nil && host[1] != "proxy.golang.org" && host[1] != "127.0.0.1" && host[1] != "localhost" {
				forbidden[regexp.QuoteMeta(host[1])] = "the module mirror of this machine"
			}
		}
	}
	if name, err := os.Hostname(); err == nil && len(name) > 7 && strings.ContainsAny(name, "0123456789-.") {
		forbidden[regexp.QuoteMeta(name)+`\b`] = "the name of this machine"
	}
	search := map[string]*regexp.Regexp{}
	for pattern := range forbidden {
		search[pattern] = regexp.MustCompile(`(?:^|[^A-Za-z0-9_.-])(` + pattern + `)`)
	}
	for _, name := range files(t) {
		text, err := os.ReadFile(name)
		if err != nil || bytes.IndexByte(text[:min(len(text), 8000)], 0) >= 0 {
			continue // not text
		}
		for pattern, what := range forbidden {
			for _, where := range search[pattern].FindAllSubmatchIndex(text, -1) {
				found := string(text[where[2]:where[3]])
				if slices.Contains([]string{"/home/jane/", "/home/anna/", "/home/kim/", "/home/pipe/"}, found) {
					continue // whom tests and documents speak of
				}
				t.Errorf("%s:%d: holds %s: %q", name, 1+bytes.Count(text[:where[2]], []byte("\n")), what, found)
			}
		}
	}
}

func TestDocumentsLinkToWhatIsThere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)|src="([^"]+)"`)
	for _, name := range files(t) {
		if path.Ext(name) != ".md" || strings.HasPrefix(name, "internal/standin/release/") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			target := match[1] + match[2]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			if _, err := os.Stat(path.Join(path.Dir(name), target)); err != nil {
				t.Errorf("%s: links to %s, which is not there", name, target)
			}
		}
	}
}

// TestTheRulesCatch keeps the rules honest: each is shown a file that breaks it.
func TestTheRulesCatch(t *testing.T) {
	const text = `package p
import ("os"; "golang.org/x/sys/unix"; "rocca/internal/durable")
func Bad(r *os.Root) {
	os.WriteFile("a", nil, 0)
	os.OpenFile("a", os.O_RDONLY|unix.O_NOFOLLOW, 0)
	os.OpenFile("a", os.O_CREATE|os.O_EXCL, 0)
	unix.Renameat(1, "a", 1, "b")
	unix.Openat(1, "a", unix.O_WRONLY, 0)
	r.RemoveAll("a")
	os.ReadFile("a")
	durable.Write("a", nil, durable.Attr{})
	durable.Fill("a", durable.Attr{}, nil)
	durable.SyncDir("a")
}
type T struct{}
func (t T) Exported() {}
func (t t) Exported() {}
// Doc.
const (A = 1; B = 2)
var C = 1
`
	file, err := parser.ParseFile(fileSet, "bad.go", text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	s := source{path: "bad.go", file: file, imports: map[string]string{"os": "os", "unix": "golang.org/x/sys/unix", "durable": "rocca/internal/durable"}}
	var lines []string
	for _, call := range writes(s, true) {
		lines = append(lines, strings.Split(call, ":")[1])
	}
	if got := strings.Join(lines, " "); got != "4 6 7 8 9 11 12" {
		t.Errorf("writes were found in the lines %s, want 4 6 7 8 9 11 12", got)
	}
	var names []string
	for _, declared := range file.Decls {
		names = append(names, undocumented(declared)...)
	}
	if got := fmt.Sprint(names); got != "[Bad T Exported C]" {
		t.Errorf("undocumented: %s, want [Bad T Exported C]", got)
	}
	if !below("rocca/internal/change/step", []string{"rocca/internal/change"}) || below("osx", []string{"os"}) || below("os/signal", []string{"os"}) {
		t.Error("below does not tell a package from one with a similar name")
	}
}
