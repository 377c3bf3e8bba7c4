package policy

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write calls.txt")

// packages are those whose calls a job makes. A package that calls AWS and is
// nobody's fails TestCallsAreCurrent.
var packages = map[Job][]string{
	Deploy:  {"artefact", "cost", "deploy", "doctor", "handover", "image", "info", "leftover", "provision", "shell", "vault"},
	Audit:   {"account", "cloud", "cost", "doctor", "image", "info", "watch"},
	Account: {"account"},
	Login:   {"info", "login"},
	Rotate:  {"fleet", "info", "provision", "rotate"},
	Respond: {"fleet", "info", "provision", "respond", "rotate"},
}

// others call AWS by other rights than the user's.
var others = map[string]string{
	"instance":  "the role of the instances, in the template base.yaml",
	"awstest":   "tests",
	"cfntest":   "tests",
	"wholetest": "tests",
	"worldtest": "tests",
}

// prefixes of actions, where they are not named as the SDK's package is.
var prefixes = map[string]string{
	"accessanalyzer":         "access-analyzer",
	"elasticloadbalancingv2": "elasticloadbalancing",
}

// renamed are operations whose actions have other names, or that need others
// beside their own.
var renamed = map[string][]string{
	"budgets:CreateBudget":                       {"budgets:ModifyBudget"},
	"budgets:DescribeBudget":                     {"budgets:ViewBudget"},
	"budgets:DescribeBudgets":                    {"budgets:ViewBudget"},
	"budgets:DescribeNotificationsForBudget":     {"budgets:ViewBudget"},
	"budgets:DescribeSubscribersForNotification": {"budgets:ViewBudget"},
	"config:PutConfigurationRecorder":            {"config:PutConfigurationRecorder", "iam:PassRole"},
	"guardduty:CreateDetector":                   {"guardduty:CreateDetector", "guardduty:TagResource", "iam:CreateServiceLinkedRole"},
	"inspector2:Enable":                          {"inspector2:Enable", "iam:CreateServiceLinkedRole"},
	"securityhub:EnableSecurityHub":              {"securityhub:EnableSecurityHub", "securityhub:TagResource", "iam:CreateServiceLinkedRole"},
	"access-analyzer:CreateAnalyzer":             {"access-analyzer:CreateAnalyzer", "access-analyzer:TagResource", "iam:CreateServiceLinkedRole"},
	"s3:CompleteMultipartUpload":                 {"s3:PutObject"},
	"s3:CopyObject":                              {"s3:GetObject", "s3:PutObject"},
	"s3:CreateMultipartUpload":                   {"s3:PutObject"},
	"s3:DeleteObjects":                           {"s3:DeleteObject", "s3:DeleteObjectVersion"},
	"s3:GetBucketEncryption":                     {"s3:GetEncryptionConfiguration"},
	"s3:HeadBucket":                              {"s3:ListBucket"},
	"s3:HeadObject":                              {"s3:GetObject"},
	"s3:ListBuckets":                             {"s3:ListAllMyBuckets"},
	"s3:ListObjectVersions":                      {"s3:ListBucketVersions"},
	"s3:ListObjectsV2":                           {"s3:ListBucket"},
	"s3:UploadPart":                              {"s3:PutObject"},
	"sts:GetCallerIdentity":                      nil, // nobody needs to be allowed
}

// besides are actions that a package needs without a call of the SDK.
var besides = map[string][]string{
	"account":  {"s3:GetAccountPublicAccessBlock", "s3:PutAccountPublicAccessBlock"},                                                                         // see its type block
	"artefact": {"s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:ListBucket", "s3:ListBucketVersions", "s3:PutObject"},                      // see its type objects
	"fleet":    {"ec2-instance-connect:OpenTunnel", "ec2-instance-connect:SendSSHPublicKey", "ec2:DescribeInstanceConnectEndpoints", "ec2:GetConsoleOutput"}, // SSH by package shell
	"rotate":   {"kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "secretsmanager:RotateSecret"},                                                     // the key of secrets; RDS rotates its own in the caller's name
	"respond": { // its type bucket; what release puts back; services that encrypt and tag in the caller's name
		"iam:PassRole", "kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo", "rds:AddTagsToResource", "wafv2:TagResource",
		"s3:DeleteObject", "s3:GetBucketAcl", "s3:GetBucketPolicy", "s3:GetBucketPublicAccessBlock", "s3:GetObject", "s3:ListBucket", "s3:PutBucketPublicAccessBlock", "s3:PutObject",
	},
	"login": {"ec2:DescribeInstances", "kms:Decrypt"}, // info lists servers; the key of the secret
	"shell": {"ec2-instance-connect:OpenTunnel"},      // a WebSocket that rocca signs itself
}

// secrets are reads that tell what an auditor needs not know.
var secrets = []string{"secretsmanager:GetSecretValue"}

// TestCallsAreCurrent reads what is called from the source.
func TestCallsAreCurrent(t *testing.T) {
	found := callsOfPackages(t)
	for pkg := range found {
		used := others[pkg] != ""
		for _, names := range packages {
			used = used || slices.Contains(names, pkg)
		}
		if !used {
			t.Errorf("internal/aws/%s calls AWS, and no job has its calls: add it to packages, or say in others whose rights it uses", pkg)
		}
	}
	var made strings.Builder
	for _, names := range packages {
		for _, pkg := range names {
			if found[pkg] == nil {
				t.Errorf("packages names internal/aws/%s, which calls nothing or is not there", pkg)
			}
		}
	}
	made.WriteString("# Which actions rocca's own calls need, for each job, and the packages (of\n# internal/aws and internal/collect) that make the calls. Written by go test ./internal/aws/policy -update\n")
	for _, job := range Jobs() {
		by := map[string][]string{}
		for _, pkg := range packages[job] {
			for _, action := range found[pkg] {
				if job != Audit || reads(action) && !slices.Contains(secrets, action) {
					by[action] = append(by[action], pkg)
				}
			}
		}
		made.WriteString("\n")
		for _, action := range slices.Sorted(maps.Keys(by)) {
			made.WriteString(string(job) + " " + action + " " + strings.Join(by[action], " ") + "\n")
		}
	}
	if *update {
		if err := os.WriteFile("calls.txt", []byte(made.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(callsText, made.String()); diff != "" {
		t.Errorf("calls.txt is not what the code calls; go test ./internal/aws/policy -update\n%s", diff)
	}
}

// reads tells whether an action changes nothing that anybody minds.
func reads(action string) bool {
	_, operation, _ := strings.Cut(action, ":")
	return action == "iam:GenerateCredentialReport" || slices.ContainsFunc([]string{"BatchGet", "Describe", "Get", "List", "Lookup", "View"}, func(verb string) bool {
		return strings.HasPrefix(operation, verb)
	})
}

// roots are the directories whose packages may call AWS.
var roots = []string{"..", "../../collect"}

// callsOfPackages lists the actions that each package below the roots needs, by
// the first directory of its path.
func callsOfPackages(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string]map[string]bool{}
	for _, root := range roots {
		err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
				return err
			}
			top, _, _ := strings.Cut(name, "/")
			if others[top] == "tests" {
				return nil
			}
			text, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				return err
			}
			for _, action := range callsOf(t, name, text) {
				if found[top] == nil {
					found[top] = map[string]bool{}
				}
				found[top][action] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for pkg, actions := range besides {
		if _, err := os.Stat(filepath.Join("..", pkg)); err != nil {
			t.Fatalf("besides names internal/aws/%s: %v", pkg, err)
		}
		if found[pkg] == nil {
			found[pkg] = map[string]bool{}
		}
		for _, action := range actions {
			found[pkg][action] = true
		}
	}
	sorted := map[string][]string{}
	for pkg, actions := range found {
		sorted[pkg] = slices.Sorted(maps.Keys(actions))
	}
	return sorted
}

// callsOf lists the actions that a file needs: each call of a service of the
// SDK has its input written out, also those by paginators and waiters, and
// client.Ask is told the action.
func callsOf(t *testing.T, name string, text []byte) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	services := map[string]string{} // by name in this file
	for _, spec := range file.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		service, ok := strings.CutPrefix(imported, "github.com/aws/aws-sdk-go-v2/service/")
		if !ok || strings.Contains(service, "/") {
			continue
		}
		local := service
		if spec.Name != nil {
			local = spec.Name.Name
		}
		services[local] = service
	}
	var actions []string
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			if selector, ok := n.Type.(*ast.SelectorExpr); ok {
				actions = append(actions, actionsOfInput(services, selector)...)
			}
		case *ast.CallExpr:
			if isAsk(n) {
				action, ok := n.Args[2].(*ast.BasicLit)
				if !ok {
					t.Errorf("%s: an action that is not written out in client.Ask is hidden from the policies", name)
					return true
				}
				written, _ := strconv.Unquote(action.Value)
				service, operation, _ := strings.Cut(written, ":")
				actions = append(actions, actionsOfOperation(service, operation)...)
			}
			if function, ok := n.Fun.(*ast.Ident); ok && function.Name == "new" {
				if selector, ok := n.Args[0].(*ast.SelectorExpr); ok {
					actions = append(actions, actionsOfInput(services, selector)...)
				}
			}
			selector, ok := n.Fun.(*ast.SelectorExpr)
			if ok && len(services) > 0 && len(n.Args) >= 2 && isNil(n.Args[1]) && (reads(":"+selector.Sel.Name) || strings.HasPrefix(selector.Sel.Name, "Enable")) {
				t.Errorf("%s: %s is called without an input, which hides it from the policies: write it out", name, selector.Sel.Name)
			}
		}
		return true
	})
	return actions
}

func actionsOfInput(services map[string]string, selector *ast.SelectorExpr) []string {
	x, ok := selector.X.(*ast.Ident)
	operation, isInput := strings.CutSuffix(selector.Sel.Name, "Input")
	if !ok || !isInput || services[x.Name] == "" {
		return nil
	}
	return actionsOfOperation(services[x.Name], operation)
}

// isAsk tells whether a call is one of those of package client that take the
// action.
func isAsk(call *ast.CallExpr) bool {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains([]string{"Ask", "AskQuery", "AskREST", "AskXML"}, selector.Sel.Name) || len(call.Args) < 5 {
		return false
	}
	x, ok := selector.X.(*ast.Ident)
	return ok && x.Name == "client"
}

func actionsOfOperation(service, operation string) []string {
	if actions, other := renamed[service+":"+operation]; other {
		return actions
	}
	if prefix := prefixes[service]; prefix != "" {
		service = prefix
	}
	action := service + ":" + operation
	if actions, other := renamed[action]; other {
		return actions
	}
	return []string{action}
}

func isNil(e ast.Expr) bool {
	name, ok := e.(*ast.Ident)
	return ok && name.Name == "nil"
}

// TestTheScanFinds shows it each way in which a call is written.
func TestTheScanFinds(t *testing.T) {
	const source = `package p
import (
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	guard "github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"example.org/other"
)
func f() {
	c.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: []types.Filter{}})
	ec2.NewDescribeInstancesPaginator(c, &ec2.DescribeInstancesInput{})
	in := new(guard.ListDetectorsInput)
	s3c.HeadBucket(ctx, &s3.HeadBucketInput{})
	s3c.PutObject(ctx, &s3.PutObjectInput{})
	who.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	client.Ask(ctx, c, "config:PutConfigurationRecorder", client.Fields{}, nil)
	x := other.FormInput{}
}
`
	want := []string{"ec2:DescribeVpcs", "ec2:DescribeInstances", "guardduty:ListDetectors", "s3:ListBucket", "s3:PutObject", "config:PutConfigurationRecorder", "iam:PassRole"}
	if diff := cmp.Diff(want, callsOf(t, "p.go", []byte(source))); diff != "" {
		t.Error(diff)
	}
}
