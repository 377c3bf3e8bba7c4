package stack

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rocca/internal/aws/settings"
)

// trial is a rendered deployment, read back from its JSON, so that tests state
// what CloudFormation will read.
type trial struct {
	*testing.T
	made    []made
	outputs map[string]any // "data.Secret" to its value
}

// made is a resource of a trial.
type made struct {
	Stack, ID           string
	Type                string
	Properties          map[string]any
	DependsOn           []string
	DeletionPolicy      string
	UpdateReplacePolicy string
	CreationPolicy      map[string]any
	UpdatePolicy        map[string]any
}

// chosen is what is wanted of a deployment whose names are in Route 53.
func chosen(t testing.TB, profile settings.Profile, values ...value) settings.Settings {
	t.Helper()
	return wanted(t, profile, append([]value{{"zone", "Z0123456789ABCDEFGHIJ"}}, values...)...)
}

// try renders settings without knowing anything of the account.
func try(t *testing.T, s settings.Settings) trial {
	t.Helper()
	result := trial{T: t, outputs: map[string]any{}}
	for _, one := range rendered(t, s).Stacks {
		text, err := one.Template.JSON()
		if err != nil {
			t.Fatal(err)
		}
		var read struct {
			Resources map[string]made
			Outputs   map[string]struct{ Value any }
		}
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		for id, resource := range read.Resources {
			resource.Stack, resource.ID = one.Role, id
			result.made = append(result.made, resource)
		}
		for key, output := range read.Outputs {
			result.outputs[one.Role+"."+key] = output.Value
		}
	}
	slices.SortFunc(result.made, func(a, b made) int { return cmp.Compare(a.Stack+"."+a.ID, b.Stack+"."+b.ID) })
	return result
}

// everyProfile calls a test with each profile, and with RDS behind a single instance.
func everyProfile(t *testing.T, test func(trial)) {
	for name, s := range map[string]settings.Settings{
		"single": chosen(t, settings.Single), "single-rds": chosen(t, settings.Single, value{"database.kind", settings.DatabaseRDS}),
		"standard": chosen(t, settings.Standard), "scale": chosen(t, settings.Scale),
	} {
		t.Run(name, func(t *testing.T) { test(try(t, s)) })
	}
}

// of lists the resources of a type.
func (t trial) of(kind string) []made {
	var all []made
	for _, r := range t.made {
		if r.Type == kind {
			all = append(all, r)
		}
	}
	return all
}

// some is like of, and there must be one.
func (t trial) some(kind string) []made {
	t.Helper()
	all := t.of(kind)
	if len(all) == 0 {
		t.Fatalf("there is no %s", kind)
	}
	return all
}

// one is a resource by its stack and logical id, such as "app.Https".
func (t trial) one(id string) made {
	t.Helper()
	for _, r := range t.made {
		if r.Stack+"."+r.ID == id {
			return r
		}
	}
	t.Fatalf("there is no %s", id)
	return made{}
}

// has tells whether there is such a resource.
func (t trial) has(id string) bool {
	return slices.ContainsFunc(t.made, func(r made) bool { return r.Stack+"."+r.ID == id })
}

// at is what a resource has at a path such as "Listeners/0/Port"; nil: nothing.
func (r made) at(path string) any { return at(r.Properties, path) }

func at(value any, path string) any {
	for name := range strings.SplitSeq(path, "/") {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// list is what is at a path, item by item.
func (r made) list(path string) []any {
	all, _ := r.at(path).([]any)
	return all
}

// wants compares what a resource has at a path with JSON.
func (t trial) wants(r made, path, want string) {
	t.Helper()
	if got := inJSON(r.at(path)); got != want {
		t.Errorf("%s.%s: %s is %s, want %s", r.Stack, r.ID, path, got, want)
	}
}

func inJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// later is how a stack names an output of one before it that is not known yet.
func later(role, output string) string {
	return inJSON("{{resolve:ssm:" + Parameter("stats", role, output) + "}}")
}

// scripts are the user data of all instances.
func (t trial) scripts() map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, r := range t.some("AWS::EC2::LaunchTemplate") {
		text, _ := r.at("LaunchTemplateData/UserData/Fn::Base64").(string)
		if text == "" {
			t.Fatalf("%s has no user data", r.ID)
		}
		all[r.ID] = text
	}
	return all
}
