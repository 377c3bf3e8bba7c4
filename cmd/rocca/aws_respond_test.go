package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/client"
)

// respondAccount is a deployment with one instance, and a directory to respond
// from.
func respondAccount(t *testing.T) (cloud *awstest.Cloud, instance string) {
	t.Helper()
	cloud = awstest.Start(t)
	none := filepath.Join(t.TempDir(), "none")
	for _, variable := range append(cloud.Environment(), "AWS_CONFIG_FILE="+none, "AWS_SHARED_CREDENTIALS_FILE="+none, "AWS_PROFILE=", "AWS_SESSION_TOKEN=") {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	t.Chdir(t.TempDir())
	settings := "name: shop\nregion: " + awstest.Region + "\nprofile: single\ndomain: stats.example.org\nemail: owner@example.org\n"
	if err := os.WriteFile("rocca-aws.yaml", []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	make := func(action string, in client.Form) (id string) {
		t.Helper()
		var made struct {
			VPC      string `xml:"vpc>vpcId"`
			Subnet   string `xml:"subnet>subnetId"`
			Group    string `xml:"groupId"`
			Instance string `xml:"instancesSet>item>instanceId"`
		}
		if err := client.AskQuery(t.Context(), cloud.Config(t), action, in, &made); err != nil {
			t.Fatal(err)
		}
		return cmp.Or(made.VPC, made.Subnet, made.Instance, made.Group)
	}
	vpc := make("ec2:CreateVpc", client.Form{"CidrBlock": "10.0.0.0/16"})
	subnet := make("ec2:CreateSubnet", client.Form{"CidrBlock": "10.0.0.0/24", "VpcId": vpc})
	outputs := "<member><OutputKey>Vpc</OutputKey><OutputValue>" + vpc + "</OutputValue></member><member><OutputKey>EvidenceBucket</OutputKey><OutputValue>shop-evidence</OutputValue></member>"
	for _, name := range []string{"IsolationGroup", "TransitGroup", "WebGroup"} {
		group := make("ec2:CreateSecurityGroup", client.Form{"GroupName": name, "GroupDescription": name, "VpcId": vpc})
		outputs += "<member><OutputKey>" + name + "</OutputKey><OutputValue>" + group + "</OutputValue></member>"
	}
	instance = make("ec2:RunInstances", client.Form{"ImageId": "ami-0123456789abcdef0", "MinCount": "1", "MaxCount": "1", "SubnetId": subnet,
		"TagSpecification.1.ResourceType": "instance", "TagSpecification.1.Tag.1.Key": "rocca:deployment", "TagSpecification.1.Tag.1.Value": "shop"})
	bucket, err := http.NewRequestWithContext(t.Context(), http.MethodPut, cloud.Endpoint+"/shop-evidence", strings.NewReader(`<CreateBucketConfiguration><LocationConstraint>`+awstest.Region+`</LocationConstraint></CreateBucketConfiguration>`))
	if err != nil {
		t.Fatal(err)
	}
	bucket.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=testing/20260101/"+awstest.Region+"/s3/aws4_request, SignedHeaders=host, Signature=0")
	answer, err := http.DefaultClient.Do(bucket)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("make the bucket: %s, %v", answer.Status, err)
	}
	cloud.Answer("cloudformation", "DescribeStacks", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		if r.Form.Get("StackName") != "shop-base" {
			awstest.Say(http.StatusBadRequest, `<ErrorResponse><Error><Code>ValidationError</Code><Message>Stack does not exist</Message></Error></ErrorResponse>`)(w, r)
			return
		}
		fmt.Fprint(w, `<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks><member><StackName>shop-base</StackName><StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-01-01T00:00:00Z</CreationTime>
			<Tags><member><Key>rocca:deployment</Key><Value>shop</Value></member></Tags><Outputs>`+outputs+`</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`)
	})
	cloud.Answer("ssm", "DescribeInstanceInformation", awstest.Say(http.StatusOK, `{"InstanceInformationList":[]}`))
	cloud.Answer("cloudtrail", "LookupEvents", awstest.Say(http.StatusOK, `{"Events":[]}`))
	cloud.Answer("ec2", "LockSnapshot", awstest.Say(http.StatusOK, `<LockSnapshotResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"/>`))
	cloud.ForgetCalls()
	return cloud, instance
}

// respondTo runs rocca aws respond.
func respondTo(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	root := &cobra.Command{Use: "rocca", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(newAWSRespondCommand())
	var out bytes.Buffer
	root.SetArgs(append([]string{"respond"}, args...))
	root.SetIn(strings.NewReader(""))
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.ExecuteContext(t.Context())
	if err == nil {
		return out.String(), exitClean
	}
	fmt.Fprintln(&out, err)
	var coded *exitError
	if errors.As(err, &coded) {
		return out.String(), coded.code
	}
	return out.String(), exitUsage
}

// TestAWSRespond walks through the verbs as a person would.
func TestAWSRespond(t *testing.T) {
	cloud, instance := respondAccount(t)
	expect := func(wantCode int, want string, args ...string) string {
		t.Helper()
		output, code := respondTo(t, args...)
		if code != wantCode || !strings.Contains(output, want) {
			t.Errorf("%v: exit status %d, want %d with %q:\n%s", args, code, wantCode, want, output)
		}
		return output
	}
	expect(exitUsage, "at least one of the flags in the group [instance key bucket] is required", "start")
	expect(exitUsage, "hint: rocca aws info lists", "start", "--instance", "i-00000000000000000", "--yes")
	expect(exitUsage, "more than an attacker has", "start", "--instance", instance, "--attacker", "0.0.0.0/0", "--yes")
	expect(exitUsage, "there is no terminal to ask on", "start", "--instance", instance)
	expect(exitUsage, "it has no tag rocca:rehearsal=yes", "rehearse", "--instance", instance, "--yes")
	expect(exitUsage, "there is none in incidents/", "status", "--instance", instance)
	expect(exitClean, `ec2:ModifyNetworkInterfaceAttribute {"Groups":["sg-`, "start", "--instance", instance, "--dry-run")
	if n := cloud.Count("ec2", "ModifyNetworkInterfaceAttribute"); n != 0 {
		t.Fatalf("a dry run has made %d changes", n)
	}
	if _, err := os.Stat(awsCases); err == nil {
		t.Error("a dry run has made a case")
	}

	// The deployment has neither flow logs nor secrets: two steps say so.
	output := expect(exitFindings, "[rotate verify]", "start", "--instance", instance, "--yes", "--reason", "a test", "--known", "2026-01-02 03:04")
	if !strings.Contains(output, "Report  "+awsCases) || !strings.Contains(output, "tell the authority by") {
		t.Errorf("start tells neither report nor law:\n%s", output)
	}
	if n := cloud.Count("ec2", "ModifyNetworkInterfaceAttribute"); n != 2 {
		t.Errorf("%d changes of groups", n)
	}
	expect(exitFindings, "has it open, as ", "status", "--instance", instance, "--verify")
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(here, "rocca-aws.yaml")
	t.Chdir(t.TempDir())
	expect(exitLocked, "another responder is at it", "start", "-c", settings, "--instance", instance, "--yes")
	expect(exitUsage, "has the case", "status", "-c", settings, "--instance", instance)
	t.Chdir(here)
	expect(exitClean, "Put the interfaces back", "release", "--instance", instance, "--dry-run")
	expect(exitClean, "Report ", "release", "--instance", instance, "--yes")
	expect(exitFindings, "nobody has a case open", "status", "--instance", instance, "--json=false")
	expect(exitClean, `"would":["s3:PutBucketPublicAccessBlock`, "start", "--bucket", "shop-evidence", "--dry-run", "--json")
	expect(exitClean, "Report ", "start", "--bucket", "shop-evidence", "--yes")
	expect(exitClean, "AWSCompromisedKeyQuarantineV3", "start", "--key", "AKIAIOSFODNN7EXAMPLE", "--user", "deployer", "--dry-run")
}

// TestAWSRespondRehearse does all of it on what is there to practise on, and
// leaves a record for the audit.
func TestAWSRespondRehearse(t *testing.T) {
	cloud, instance := respondAccount(t)
	err := client.AskQuery(t.Context(), cloud.Config(t), "ec2:CreateTags", client.Form{"ResourceId.1": instance, "Tag.1.Key": "rocca:rehearsal", "Tag.1.Value": "yes"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	output, code := respondTo(t, "rehearse", "--instance", instance, "--yes", "--json")
	if code != exitFindings || !strings.Contains(output, `"failed":["verify"]`) || !strings.Contains(output, "release-close") {
		t.Errorf("exit status %d:\n%s", code, output)
	}
	var list struct{ Contents []struct{ Key string } }
	err = client.AskXML(t.Context(), cloud.Config(t), "s3:ListBucket", client.Place{Path: "/shop-evidence?list-type=2&prefix=rehearsals%2F"}, &list)
	if err != nil || len(list.Contents) != 1 {
		t.Errorf("the rehearsal is not recorded: %+v, %v", list, err)
	}
}
