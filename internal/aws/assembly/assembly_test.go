package assembly

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
)

// two is a deployment of two small stacks, of what moto knows.
func two() stack.Set {
	parameter := func(name string, value any) stack.Resource {
		return stack.Resource{Type: "AWS::SSM::Parameter", Properties: map[string]any{"Name": name, "Type": "String", "Value": value}}
	}
	tags := map[string]string{"rocca:deployment": "trial"}
	return stack.Set{
		Settings: settings.Settings{Name: "trial", Region: "eu-central-1"},
		Stacks: []stack.Stack{
			{Role: stack.Base, Name: "trial-base", Tags: tags, Template: stack.Template{Description: "network", Resources: map[string]stack.Resource{
				"Vpc":          {Type: "AWS::EC2::VPC", Properties: map[string]any{"CidrBlock": "10.20.0.0/24"}},
				"ParameterVpc": parameter("/rocca/trial/base/Vpc", map[string]any{"Ref": "Vpc"}),
			}}},
			{Role: stack.App, Name: "trial-app", Tags: tags, Needs: []string{"trial-base"}, Template: stack.Template{Description: "what uses it", Resources: map[string]stack.Resource{
				"Group": {Type: "AWS::EC2::SecurityGroup", Properties: map[string]any{"GroupDescription": "trial", "VpcId": "{{resolve:ssm:/rocca/trial/base/Vpc}}"}},
			}}},
		},
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "cdk.out")
	for range 2 { // over itself, too
		if err := Write(dir, two()); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff([]string{"manifest.json", "trial-app.template.json", "trial-base.template.json"}, names); diff != "" {
		t.Error(diff)
	}
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "version": "36.0.0",
  "artifacts": {
    "trial-app": {
      "type": "aws:cloudformation:stack",
      "environment": "aws://unknown-account/eu-central-1",
      "properties": {
        "templateFile": "trial-app.template.json",
        "stackName": "trial-app",
        "tags": {
          "rocca:deployment": "trial"
        },
        "terminationProtection": true
      },
      "dependencies": [
        "trial-base"
      ]
    },
    "trial-base": {
      "type": "aws:cloudformation:stack",
      "environment": "aws://unknown-account/eu-central-1",
      "properties": {
        "templateFile": "trial-base.template.json",
        "stackName": "trial-base",
        "tags": {
          "rocca:deployment": "trial"
        },
        "terminationProtection": true
      }
    }
  }
}
`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
	template, err := os.ReadFile(filepath.Join(dir, "trial-app.template.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(template) || strings.ContainsAny(string(template), "\n\t") {
		t.Errorf("the template is not minified JSON: %s", template)
	}
}

// TestFilesAreComplete holds the manifest to what is there: every template that
// it names, and every stack that another needs.
func TestFilesAreComplete(t *testing.T) {
	files, err := Files(two())
	if err != nil {
		t.Fatal(err)
	}
	var got manifest
	if err := json.Unmarshal(files[Manifest], &got); err != nil {
		t.Fatal(err)
	}
	for name, a := range got.Artifacts {
		if _, there := files[a.Properties.TemplateFile]; !there {
			t.Errorf("%s: no file %s", name, a.Properties.TemplateFile)
		}
		for _, needed := range a.Dependencies {
			if _, there := got.Artifacts[needed]; !there {
				t.Errorf("%s needs %s, which is not there", name, needed)
			}
		}
	}
	if want := len(got.Artifacts) + 1; len(files) != want {
		t.Errorf("%q: want %d files", slices.Sorted(maps.Keys(files)), want)
	}
}

func TestTooLarge(t *testing.T) {
	set := two()
	set.Stacks[0].Template.Description = strings.Repeat("x", stack.MostTemplateBytes)
	dir := t.TempDir()
	err := Write(dir, set)
	if err == nil || !strings.Contains(err.Error(), "stack trial-base: ") {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("%d files were written all the same", len(entries))
	}
}

func TestNoDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(file, two()); err == nil || !strings.Contains(err.Error(), "hint: name a directory") {
		t.Errorf("got %v", err)
	}
}
