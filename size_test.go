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
var whole = []string{"internal/aws/awstest", "internal/aws/cfntest", "internal/aws/wholetest", "internal/aws/worldtest"}

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

// schemas are clients that those of package client (Ask and its like) take the
// place of.
var schemas = []string{"accessanalyzer", "account", "acm", "backup", "cloudtrail", "cloudwatch", "cloudwatchlogs", "configservice", "ec2instanceconnect", "guardduty", "iam",
	"inspector2", "pricing", "secretsmanager", "securityhub", "servicequotas", "ssm"}

var (
	// taking are functions of the SDK that take a client as an interface.
	taking = regexp.MustCompile(`^New\w+(Paginator|Waiter)$`)

	// signing are questions with an address in them that the client signs, by
	// itself as an interface.
	signing = regexp.MustCompile(`^(CopySnapshot|CopyDBSnapshot|CopyDBClusterSnapshot|CreateDBCluster|CreateDBInstanceReadReplica)Input$`)
)

// fatUses lists what in a file brings all methods of a client into the program.
func fatUses(s source) []string {
	const service = "github.com/aws/aws-sdk-go-v2/service/"
	var found []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := selector.X.(*ast.Ident)
		if !ok || !strings.HasPrefix(s.imports[pkg.Name], service) {
			return true
		}
		switch name := selector.Sel.Name; {
		case taking.MatchString(name):
			found = append(found, at(n)+": "+name+" takes the client as an interface, which brings all methods of it into the program (20 MB of EC2): take client.Pages, or look again by yourself")
		case signing.MatchString(name):
			found = append(found, at(n)+": "+name+" is signed by the client as an interface, which brings all methods of it into the program (20 MB of EC2): take client.AskQuery")
		}
		return true
	})
	for _, spec := range s.file.Imports {
		if name, ok := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), service); ok && slices.Contains(schemas, strings.TrimSuffix(name, "/types")) {
			found = append(found, at(spec)+": "+name+" brings a description of all its operations into the program (up to 1.3 MB): take client.Ask, AskREST or AskQuery")
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
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

func f() {
	ec2.NewDescribeVpcsPaginator(c, nil)
	fat.NewBucketExistsWaiter(c)
	ec2.NewFromConfig(c)
	ours.NewPaginator(c)
	ec2.NewFromConfig(c).CopySnapshot(ctx, &ec2.CopySnapshotInput{})
	ec2.NewFromConfig(c).CreateSnapshot(ctx, &ec2.CreateSnapshotInput{})
	ours.CopySnapshotInput()
}
`
	file, err := parser.ParseFile(fileSet, "fat.go", text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	const service = "github.com/aws/aws-sdk-go-v2/service/"
	found := fatUses(source{path: "fat.go", file: file, imports: map[string]string{"ec2": service + "ec2", "fat": service + "s3", "ours": "example.org/ours"}})
	want := []string{"fat.go:12:2: NewDescribeVpcsPaginator", "fat.go:13:2: NewBucketExistsWaiter", "fat.go:16:42: CopySnapshotInput", "fat.go:5:2: S3's client", "fat.go:6:2: ssm/types brings", "fat.go:8:2: iam brings"}
	if !slices.EqualFunc(found, want, strings.HasPrefix) {
		t.Errorf("found %q", found)
	}
}
