package stack

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const small = `Description: a trial
Resources:
  Key:
    Type: AWS::KMS::Key
    Metadata: {Is: key of the deployment}
    DeletionPolicy: Retain
    Properties:
      EnableKeyRotation: true
      PendingWindowInDays: 7
      Description: !Sub "key of ${AWS::StackName}, ${!literal}"
  Alias:
    Type: AWS::KMS::Alias
    Metadata: {Is: name of the key}
    DependsOn: Key
    Properties:
      AliasName: alias/trial
      TargetKeyId: !GetAtt Key.Arn
      Others: [!Ref Key, {Deep: !Sub "${Key.Arn}/x"}]
Outputs:
  Key: {Is: "the key", Value: !GetAtt Key.Arn}
`

func TestLoad(t *testing.T) {
	loaded, err := Load([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	if is := loaded.Resources["Alias"].Is; is != "name of the key" {
		t.Errorf("the alias is %q", is)
	}
	text, err := loaded.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	var want any
	if err := json.Unmarshal([]byte(`{
		"AWSTemplateFormatVersion": "2010-09-09", "Description": "a trial",
		"Resources": {
			"Key": {"Type": "AWS::KMS::Key", "DeletionPolicy": "Retain", "Properties": {
				"EnableKeyRotation": true, "PendingWindowInDays": 7,
				"Description": {"Fn::Sub": "key of ${AWS::StackName}, ${!literal}"}}},
			"Alias": {"Type": "AWS::KMS::Alias", "DependsOn": ["Key"], "Properties": {
				"AliasName": "alias/trial", "TargetKeyId": {"Fn::GetAtt": ["Key", "Arn"]},
				"Others": [{"Ref": "Key"}, {"Deep": {"Fn::Sub": "${Key.Arn}/x"}}]}}},
		"Outputs": {"Key": {"Description": "the key", "Value": {"Fn::GetAtt": ["Key", "Arn"]}}}}`), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"key twice":         {"PendingWindowInDays: 7", "EnableKeyRotation: false", "[9:7] mapping key"},
		"key twice, flow":   {"{Is: name of the key}", "{Is: x, Is: y}", "already defined"},
		"unknown tag":       {"!GetAtt Key.Arn\n      Others", "!Join Key.Arn\n      Others", "line 17: !Join is not known"},
		"reference":         {"!Ref Key", "!Ref Kye", "line 18: refers to Kye, which is no resource"},
		"substitute":        {"${Key.Arn}/x", "${Kye.Arn}/x", "line 18: refers to Kye, which is no resource"},
		"nothing to do":     {`"${Key.Arn}/x"`, `"x"`, "line 18: !Sub substitutes nothing"},
		"attribute":         {"!GetAtt Key.Arn\n      Others", "!GetAtt Key\n      Others", "line 17: !GetAtt needs Resource.Attribute"},
		"order":             {"DependsOn: Key", "DependsOn: Kye", "line 14: refers to Kye"},
		"no words":          {"Metadata: {Is: name of the key}", "DeletionPolicy: Retain", "line 11: Alias needs a Type, and Metadata with Is"},
		"other metadata":    {"{Is: name of the key}", "{Is: x, Was: y}", "line 13: Was: Metadata has Is only"},
		"attribute of none": {"DependsOn: Key", "Depends: Key", "line 14: Depends is no attribute of a resource"},
		"section":           {"Outputs:", "Parameters:", "line 19: Parameters: a template has"},
		"nothing":           {"EnableKeyRotation: true", "EnableKeyRotation:", "line 8: a null is not allowed here"},
		"logical id":        {"  Alias:", "  Key-Alias:", "line 11: Key-Alias: a logical id"},
		"anchor":            {"alias/trial", "&x alias/trial", "line 16: a anchor is not allowed here"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(small, c.from, c.to, 1)
			if text == small {
				t.Fatalf("%q is not in the template", c.from)
			}
			_, err := Load([]byte(text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	loaded, err := Load([]byte(strings.Replace(small, "alias/trial", strings.Repeat("x", MostTemplateBytes), 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := loaded.JSON(); err == nil || !strings.Contains(err.Error(), "51200") {
		t.Errorf("got %v", err)
	}
}

func TestSlice(t *testing.T) {
	for _, c := range []struct {
		network string
		n       int
		want    string
	}{
		{"10.20.0.0/16", 0, "10.20.0.0/20"},
		{"10.20.0.0/16", 9, "10.20.144.0/20"},
		{"172.16.4.0/22", 8, "172.16.6.0/26"},
	} {
		if got := slice(netip.MustParsePrefix(c.network), c.n).String(); got != c.want {
			t.Errorf("slice %d of %s: %s, want %s", c.n, c.network, got, c.want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(small)
	f.Add("Resources: {A: {Type: !Sub '${', Metadata: {Is: x}}}")
	f.Fuzz(func(t *testing.T, text string) {
		loaded, err := Load([]byte(text))
		if err != nil {
			return
		}
		for id, r := range loaded.Resources {
			if !logicalID.MatchString(id) || r.Type == "" || r.Is == "" {
				t.Errorf("%q: %+v", id, r)
			}
		}
		if _, err := loaded.JSON(); err != nil && !strings.Contains(err.Error(), "51200") {
			t.Error(err)
		}
	})
}
