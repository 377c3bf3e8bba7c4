// Package assembly writes a deployment as a cloud assembly: the directory that
// the cdk command line takes from an app. With "app": "rocca aws synth" in
// cdk.json, cdk ls, synth, diff, deploy and destroy work as with any other.
package assembly

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"rocca/internal/aws/stack"
)

// Version of the schema of the manifest. A cdk refuses what is newer than
// itself, and this one, of 2023, has all that is needed here: every cdk since
// then takes it.
const Version = "36.0.0"

// Manifest is the name of the file that tells what else is there.
const Manifest = "manifest.json"

// TemplateName is the name of a stack's template.
func TemplateName(s stack.Stack) string { return s.Name + ".template.json" }

// manifest and what is in it, as schema/cloud-assembly.schema.json of
// @aws-cdk/cloud-assembly-schema says.
type manifest struct {
	Version   string              `json:"version"`
	Artifacts map[string]artifact `json:"artifacts"` // by name of the stack
}

type artifact struct {
	Type         string     `json:"type"`
	Environment  string     `json:"environment"`
	Properties   properties `json:"properties"`
	Dependencies []string   `json:"dependencies,omitempty"`
}

type properties struct {
	TemplateFile          string            `json:"templateFile"`
	StackName             string            `json:"stackName"`
	Tags                  map[string]string `json:"tags"`
	TerminationProtection bool              `json:"terminationProtection"`
	// Nothing of cdk bootstrap is named, so none is needed: cdk uses the
	// credentials of its caller.
}

// Files are the files of the assembly by name.
func Files(set stack.Set) (map[string][]byte, error) {
	files := map[string][]byte{}
	all := manifest{Version: Version, Artifacts: map[string]artifact{}}
	for _, s := range set.Stacks {
		template, err := s.Template.JSON()
		if err != nil {
			return nil, fmt.Errorf("stack %s: %w", s.Name, err)
		}
		files[TemplateName(s)] = template
		all.Artifacts[s.Name] = artifact{
			Type: "aws:cloudformation:stack",
			// The account is that of the credentials cdk has.
			Environment:  "aws://unknown-account/" + set.Settings.Region,
			Properties:   properties{TemplateFile: TemplateName(s), StackName: s.Name, Tags: s.Tags, TerminationProtection: true},
			Dependencies: s.Needs,
		}
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the manifest of the assembly: %w", err)
	}
	files[Manifest] = append(text, '\n')
	return files, nil
}

// Write writes the files into a directory, which it makes where it is missing.
// Other files there stay: cdk reads what the manifest names.
func Write(dir string, set stack.Set) error {
	files, err := Files(set)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the assembly: %w\nhint: name a directory that you may write to (-o)", err)
	}
	// The manifest comes last: without it nobody takes the directory for one.
	names := slices.Sorted(maps.Keys(files))
	names = append(slices.DeleteFunc(names, func(name string) bool { return name == Manifest }), Manifest)
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), files[name], 0o644); err != nil {
			return fmt.Errorf("write the assembly: %w\nhint: name a directory that you may write to (-o)", err)
		}
	}
	return nil
}
