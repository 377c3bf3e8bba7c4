package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/model"
)

// globalRegion is where CloudTrail keeps the events of IAM and of root, whatever
// region the deployment is in (partition aws).
const globalRegion = "us-east-1"

// mostPages of one question: some thousand calls. More is told.
const mostPages = 60

// questions are those that LookupEvents takes: one attribute each.
var questions = []struct{ key, value string }{
	{"ReadOnly", "false"},
	{"EventName", "GetSecretValue"},
	{"Username", "root"},
}

// calls asks CloudTrail, which keeps management events for 90 days also where
// there is no trail.
func calls(ctx context.Context, c client.Config, t Target, since time.Time) ([]Finding, error) {
	regions := []string{c.Region}
	if c.Region != globalRegion {
		regions = append(regions, globalRegion)
	}
	var all []Finding
	var problems []error
	for _, region := range regions {
		there := c.Copy()
		there.Region = region
		for _, question := range questions {
			events, err := lookup(ctx, there, question.key, question.value, since)
			problems = append(problems, err)
			for _, e := range events {
				if found, is := t.judge(e); is && (region == c.Region || global(e)) {
					all = append(all, found)
				}
			}
		}
	}
	return all, errors.Join(problems...)
}

// event is what matters of a record of CloudTrail ("CloudTrail record
// contents").
type event struct {
	ID       string    `json:"eventID"`
	At       time.Time `json:"eventTime"`
	Source   string    `json:"eventSource"` // ec2.amazonaws.com
	Name     string    `json:"eventName"`
	From     string    `json:"sourceIPAddress"`
	Kind     string    `json:"eventType"`
	Error    string    `json:"errorCode"`
	ReadOnly bool      `json:"readOnly"`
	Identity struct {
		Type      string `json:"type"` // "Root", "IAMUser", "AssumedRole", ...
		ARN       string `json:"arn"`
		InvokedBy string `json:"invokedBy"`
		Session   struct {
			Issuer struct {
				ARN string `json:"arn"`
			} `json:"sessionIssuer"`
		} `json:"sessionContext"`
	} `json:"userIdentity"`
	Request map[string]any `json:"requestParameters"`
}

func lookup(ctx context.Context, c client.Config, key, value string, since time.Time) ([]event, error) {
	var all []event
	ask := client.Fields{"LookupAttributes": []client.Fields{{"AttributeKey": key, "AttributeValue": value}}, "StartTime": since.Unix(), "MaxResults": 50}
	for range mostPages {
		var answer struct {
			Events []struct {
				EventID         string `json:"EventId"`
				CloudTrailEvent string
			}
			NextToken string
		}
		if err := client.Ask(ctx, c, "cloudtrail:LookupEvents", ask, &answer); err != nil {
			return all, err
		}
		for _, told := range answer.Events {
			e, err := decodeEvent(told.CloudTrailEvent)
			if err != nil {
				return all, fmt.Errorf("read the event %s: %w", told.EventID, err)
			}
			all = append(all, e)
		}
		if answer.NextToken == "" {
			return all, nil
		}
		ask["NextToken"] = answer.NextToken
	}
	return all, fmt.Errorf("there are more calls with %s=%s than %d pages\nhint: a shorter --since", key, value, mostPages)
}

// decodeEvent reads a record. What is in it is others' text.
func decodeEvent(text string) (event, error) {
	var e event
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return e, errors.New("it is no record of CloudTrail")
	}
	if e.ID == "" || e.Name == "" {
		return e, errors.New("it has no id or no name")
	}
	return e, nil
}

// global tells whether an event is of no region.
func global(e event) bool {
	return e.Identity.Type == "Root" || e.Source == "iam.amazonaws.com" || e.Source == "signin.amazonaws.com" || e.Source == "sts.amazonaws.com"
}

// rules say which calls matter, by the service and the beginning of the name.
// The first that fits decides.
var rules = []struct {
	source   string
	names    []string // of which one begins the name
	kind     Kind
	severity model.Severity
}{
	{"cloudtrail", []string{"StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"}, WatchEnded, model.Critical},
	{"guardduty", []string{"DeleteDetector", "UpdateDetector", "CreateFilter", "CreateIPSet", "Disassociate"}, WatchEnded, model.Critical},
	{"config", []string{"StopConfigurationRecorder", "DeleteConfigurationRecorder", "DeleteDeliveryChannel"}, WatchEnded, model.High},
	{"logs", []string{"DeleteLogGroup", "DeleteMetricFilter", "PutRetentionPolicy"}, WatchEnded, model.High},
	{"monitoring", []string{"DeleteAlarms", "DisableAlarmActions"}, WatchEnded, model.High},
	{"ec2", []string{"DeleteFlowLogs"}, WatchEnded, model.High},
	{"ec2", []string{"AuthorizeSecurityGroup", "ModifySecurityGroupRules", "RevokeSecurityGroup", "DeleteSecurityGroup", "CreateSecurityGroup"}, Opened, model.High},
	{"ec2", []string{"ModifyNetworkInterfaceAttribute", "ModifyInstanceAttribute", "CreateRoute", "ReplaceRoute", "AssociateAddress", "CreateNetworkAclEntry", "ReplaceNetworkAcl", "CreateVpcPeering", "AcceptVpcPeering", "ModifyVpcEndpoint"}, Opened, model.Medium},
	{"ec2", []string{"ModifySnapshotAttribute", "DeleteSnapshot", "ModifyImageAttribute"}, Data, model.High},
	{"rds", []string{"ModifyDBSnapshotAttribute", "DeleteDBInstance", "DeleteDBSnapshot", "ModifyDBInstance", "ModifyDBParameterGroup"}, Data, model.High},
	{"s3", []string{"PutBucketPolicy", "DeleteBucketPolicy", "PutBucketPublicAccessBlock", "DeleteBucketPublicAccessBlock", "PutBucketAcl", "DeleteBucket"}, Data, model.High},
	{"secretsmanager", []string{"DeleteSecret", "PutResourcePolicy", "UpdateSecret", "PutSecretValue"}, Data, model.High},
	{"backup", []string{"DeleteRecoveryPoint", "DeleteBackupVault", "DeleteBackupPlan"}, Data, model.High},
	{"kms", []string{"DisableKey", "ScheduleKeyDeletion", "PutKeyPolicy", "CreateGrant"}, KeyChanged, model.High},
	{"iam", []string{"CreateUser", "CreateAccessKey", "CreateLoginProfile", "UpdateLoginProfile", "Attach", "Put", "CreatePolicyVersion", "SetDefaultPolicyVersion", "UpdateAssumeRolePolicy", "AddUserToGroup", "DeactivateMFADevice", "DeleteVirtualMFADevice", "AddRoleToInstanceProfile"}, Rights, model.High},
}

// judge tells whether an event is something that the owner should know of.
func (t Target) judge(e event) (Finding, bool) {
	f := Finding{At: e.At.UTC(), Who: e.Identity.ARN, From: e.From, ID: e.ID, What: service(e.Source) + ":" + e.Name, Resource: resourceOf(e)}
	if f.Who == "" {
		f.Who = e.Identity.InvokedBy
	}
	if e.Error != "" {
		f.What += " was refused (" + e.Error + ")"
	}
	switch {
	case e.Source == "secretsmanager.amazonaws.com" && e.Name == "GetSecretValue":
		f.Kind, f.Severity = SecretRead, model.High
		ours := strings.Contains(f.Resource, "rocca/"+t.Deployment+"/") || strings.Contains(f.Resource, "rds!db-")
		return f, ours && (t.HostRole == "" || e.Identity.Session.Issuer.ARN != t.HostRole)
	case e.Identity.Type == "Root" && e.Identity.InvokedBy == "" && e.Kind != "AwsServiceEvent":
		f.Kind, f.Severity = RootUsed, model.High
		return f, true
	case e.ReadOnly:
		return f, false
	}
	for _, rule := range rules {
		if service(e.Source) != rule.source || !begins(e.Name, rule.names) {
			continue
		}
		f.Kind, f.Severity = rule.kind, rule.severity
		if strings.HasSuffix(e.Identity.InvokedBy, ".amazonaws.com") {
			f.Severity = model.Low // a service on behalf of somebody: the auto-scaling group, CloudFormation
		}
		if e.Error != "" {
			f.Severity = min(f.Severity, model.Medium) // it came to nothing
		}
		return f, true
	}
	return f, false
}

func begins(name string, with []string) bool {
	for _, one := range with {
		if strings.HasPrefix(name, one) {
			return true
		}
	}
	return false
}

func service(source string) string { return strings.TrimSuffix(source, ".amazonaws.com") }

// named are request parameters that name what a call is about, the telling ones
// first.
var named = []string{"secretId", "groupId", "networkInterfaceId", "instanceId", "dBInstanceIdentifier", "dBSnapshotIdentifier", "snapshotId", "bucketName", "keyId", "name", "trailName", "detectorId", "roleName", "userName", "policyArn", "logGroupName", "routeTableId", "networkAclId", "vpcId"}

func resourceOf(e event) string {
	for _, key := range named {
		if text, is := e.Request[key].(string); is && text != "" {
			return text
		}
	}
	return ""
}
