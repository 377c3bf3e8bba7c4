package rocca_test

import (
	"go/ast"
	"go/parser"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mostProgram is the size of the stripped program, in bytes.
const mostProgram = 40_000_000

// TestProgramIsSmall builds the program as it is released. The linker keeps
// every exported method of a type that is put behind an interface, as templates
// could call it; a client of AWS has up to 20 MB of them.
func TestProgramIsSmall(t *testing.T) {
	name := filepath.Join(t.TempDir(), "rocca")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", name, "./cmd/rocca")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the program has %.1f MB", float64(info.Size())/1e6)
	if info.Size() > mostProgram {
		t.Errorf("the program has %.1f MB, more than %d MB: who puts clients behind interfaces is told by\n"+
			"go build -ldflags -dumpdep ./cmd/rocca 2>&1 | grep 'service/[a-z0-9]*\\.Client <UsedInIface>'", float64(info.Size())/1e6, mostProgram/1_000_000)
	}
}

// whole are packages of tests, which are in no program.
var whole = []string{"internal/aws/awstest", "internal/aws/cfntest", "internal/aws/wholetest"}

func TestClientsAreNotPutBehindInterfaces(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || !within(s.pkg, "internal/aws") || slices.Contains(whole, s.pkg) {
			continue
		}
		for _, found := range fatUses(s) {
			t.Error(found)
		}
	}
}

// schemas are clients that Ask and AskREST of package client take the place of.
var schemas = []string{"acm", "backup", "cloudtrail", "cloudwatch", "cloudwatchlogs", "configservice", "ec2instanceconnect", "pricing", "secretsmanager", "servicequotas", "ssm"}

// fatUses lists what in a file brings all methods of a client into the program.
func fatUses(s source) []string {
	const service = "github.com/aws/aws-sdk-go-v2/service/"
	taking := regexp.MustCompile(`^New\w+(Paginator|Waiter)$`)
	var found []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		selector, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if pkg, ok := selector.X.(*ast.Ident); ok && strings.HasPrefix(s.imports[pkg.Name], service) && taking.MatchString(selector.Sel.Name) {
			found = append(found, at(call)+": "+selector.Sel.Name+" takes the client as an interface, which brings all methods of it into the program (20 MB of EC2): take client.Pages, or look again by yourself")
		}
		return true
	})
	for _, spec := range s.file.Imports {
		if name, ok := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), service); ok && slices.Contains(schemas, strings.TrimSuffix(name, "/types")) {
			found = append(found, at(spec)+": "+name+" brings a description of all its operations into the program (up to 1.3 MB): take client.Ask")
		}
		if strings.Trim(spec.Path.Value, `"`) == service+"s3" {
			found = append(found, at(spec)+": S3's client puts itself behind an interface, which brings all methods of it into the program (5 MB): take what package artefact has")
		}
	}
	return found
}

// TestTheSizeRulesCatch shows them what they are for.
func TestTheSizeRulesCatch(t *testing.T) {
	const text = `package p

import (
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	fat "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"example.org/ours"
)

func f() {
	ec2.NewDescribeVpcsPaginator(c, nil)
	fat.NewBucketExistsWaiter(c)
	ec2.NewFromConfig(c)
	ours.NewPaginator(c)
}
`
	file, err := parser.ParseFile(fileSet, "fat.go", text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	const service = "github.com/aws/aws-sdk-go-v2/service/"
	found := fatUses(source{path: "fat.go", file: file, imports: map[string]string{"ec2": service + "ec2", "fat": service + "s3", "ours": "example.org/ours"}})
	if len(found) != 4 || !strings.Contains(found[0], "fat.go:11:2: NewDescribeVpcsPaginator") || !strings.Contains(found[1], "fat.go:12:2: NewBucketExistsWaiter") ||
		!strings.Contains(found[2], "fat.go:5:2: S3's client") || !strings.Contains(found[3], "fat.go:6:2: ssm/types brings") {
		t.Errorf("found %q", found)
	}
}
