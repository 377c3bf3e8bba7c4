package account

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer"
	analyzertypes "github.com/aws/aws-sdk-go-v2/service/accessanalyzer/types"
	accountapi "github.com/aws/aws-sdk-go-v2/service/account"
	accounttypes "github.com/aws/aws-sdk-go-v2/service/account/types"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	guardtypes "github.com/aws/aws-sdk-go-v2/service/guardduty/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/inspector2"
	inspectortypes "github.com/aws/aws-sdk-go-v2/service/inspector2/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"

	"rocca/internal/aws/client"
)

// guards are the services that watch an account. All but the analyzer bill, so
// they are turned on only when rocca-aws.yaml asks for them.
func guards(c client.Config, w Wanted) []Setting {
	return []Setting{
		analyzer(c, w),
		asked(guardDuty(c, w), w.Services.GuardDuty, "guardduty"),
		asked(recorder(c, w), w.Services.Config, "config"),
		asked(hub(c, w), w.Services.Hub, "hub"),
		asked(inspector(c, w), w.Services.Inspector, "inspector"),
	}
}

// asked only looks at a setting that was not asked for.
func asked(s Setting, wanted bool, key string) Setting {
	if wanted {
		return s
	}
	read := s.Read
	s.Set = nil
	s.Read = func(ctx context.Context) (State, error) {
		state, err := read(ctx)
		if !state.Good {
			state.Left = "not asked for (account." + key + "); it bills " + s.Price
		}
		return state, err
	}
	return s
}

func analyzer(c client.Config, w Wanted) Setting {
	asks := accessanalyzer.NewFromConfig(c)
	name := "rocca-" + w.Deployment
	return Setting{
		Name: "IAM Access Analyzer",
		Why:  "tells which buckets, keys, roles and secrets others can reach",
		Read: func(ctx context.Context) (State, error) {
			more := func(in *accessanalyzer.ListAnalyzersInput, out *accessanalyzer.ListAnalyzersOutput) bool {
				return client.Next(&in.NextToken, out.NextToken)
			}
			for page, err := range client.Pages(ctx, asks.ListAnalyzers, &accessanalyzer.ListAnalyzersInput{}, more) {
				if err != nil {
					return State{}, err
				}
				for _, a := range page.Analyzers {
					outside := a.Type == analyzertypes.TypeAccount || a.Type == analyzertypes.TypeOrganization
					if outside && a.Status == analyzertypes.AnalyzerStatusActive {
						return State{Good: true, Is: "on: " + aws.ToString(a.Name)}, nil
					}
				}
			}
			return State{Is: "off", Undo: []string{fmt.Sprintf("aws accessanalyzer delete-analyzer --region %s --analyzer-name %s", c.Region, name)}}, nil
		},
		Set: func(ctx context.Context) error {
			_, err := asks.CreateAnalyzer(ctx, &accessanalyzer.CreateAnalyzerInput{AnalyzerName: &name, Type: analyzertypes.TypeAccount, Tags: tags(w)})
			return err
		},
	}
}

func guardDuty(c client.Config, w Wanted) Setting {
	asks := guardduty.NewFromConfig(c)
	// detector finds the detector, of which a region has one at most.
	detector := func(ctx context.Context) (id string, on bool, err error) {
		list, err := asks.ListDetectors(ctx, &guardduty.ListDetectorsInput{})
		if err != nil || len(list.DetectorIds) == 0 {
			return "", false, err
		}
		answer, err := asks.GetDetector(ctx, &guardduty.GetDetectorInput{DetectorId: &list.DetectorIds[0]})
		if err != nil {
			return "", false, err
		}
		return list.DetectorIds[0], answer.Status == guardtypes.DetectorStatusEnabled, nil
	}
	return Setting{
		Name:  "GuardDuty",
		Why:   "notices stolen credentials, miners and talk with known attackers",
		Price: "$4.00 per million CloudTrail events and $1.00 per GB of flow and DNS logs: about $2 to $15 a month; 30 days free",
		Read: func(ctx context.Context) (State, error) {
			id, on, err := detector(ctx)
			switch {
			case err != nil:
				return State{}, err
			case on:
				return State{Good: true, Is: "on"}, nil
			case id != "":
				return State{Is: "suspended", Undo: []string{fmt.Sprintf("aws guardduty update-detector --region %s --detector-id %s --no-enable", c.Region, id)}}, nil
			}
			return State{Is: "off", Undo: []string{fmt.Sprintf("aws guardduty delete-detector --region %s --detector-id $(aws guardduty list-detectors --region %[1]s --query DetectorIds --output text)", c.Region)}}, nil
		},
		Set: func(ctx context.Context) error {
			id, _, err := detector(ctx)
			if err != nil {
				return err
			}
			enable := true
			if id != "" {
				_, err = asks.UpdateDetector(ctx, &guardduty.UpdateDetectorInput{DetectorId: &id, Enable: &enable})
				return err
			}
			_, err = asks.CreateDetector(ctx, &guardduty.CreateDetectorInput{Enable: &enable, FindingPublishingFrequency: guardtypes.FindingPublishingFrequencyFifteenMinutes, Tags: tags(w)})
			return err
		},
	}
}

// recorder is AWS Config. Its history goes to the bucket of logs.
func recorder(c client.Config, w Wanted) Setting {
	const name = "default"
	return Setting{
		Name:  "AWS Config recorder",
		Why:   "keeps what every resource was at any time, for those who look into an incident",
		Price: "$0.003 for each recorded change: about $2 a month, more where much is made and removed",
		Read: func(ctx context.Context) (State, error) {
			found, err := recorders(ctx, c)
			if err != nil {
				return State{}, err
			}
			stop := "aws configservice stop-configuration-recorder --region " + c.Region + " --configuration-recorder-name "
			if len(found) == 0 {
				state := State{Is: "off", Undo: []string{
					stop + name,
					"aws configservice delete-delivery-channel --region " + c.Region + " --delivery-channel-name " + name,
					"aws configservice delete-configuration-recorder --region " + c.Region + " --configuration-recorder-name " + name,
				}}
				bucket, err := logBucket(ctx, c, w)
				if err == nil && bucket == "" {
					state.Left = "there is no bucket for its history before rocca aws deploy"
				}
				return state, err
			}
			is := found[0]
			if is.Recording {
				return State{Good: true, Is: "on"}, nil
			}
			return State{Is: "stopped", Undo: []string{stop + is.Name}}, nil
		},
		Set: func(ctx context.Context) error {
			found, err := recorders(ctx, c)
			if err != nil {
				return err
			}
			starts := name
			if len(found) > 0 {
				starts = found[0].Name
			} else if err := makeRecorder(ctx, c, w, name); err != nil {
				return err
			}
			return client.Ask(ctx, c, "config:StartConfigurationRecorder", client.Fields{"ConfigurationRecorderName": starts}, nil)
		},
	}
}

// recorderStatus is what AWS Config tells of a recorder.
type recorderStatus struct {
	Name      string
	Recording bool
}

func recorders(ctx context.Context, c client.Config) ([]recorderStatus, error) {
	var answer struct{ ConfigurationRecordersStatus []recorderStatus }
	err := client.Ask(ctx, c, "config:DescribeConfigurationRecorderStatus", client.Fields{}, &answer)
	return answer.ConfigurationRecordersStatus, err
}

// makeRecorder makes a recorder of everything, and where it delivers to.
func makeRecorder(ctx context.Context, c client.Config, w Wanted, name string) error {
	bucket, err := logBucket(ctx, c, w)
	if err != nil {
		return err
	}
	service := "config.amazonaws.com"
	_, err = iam.NewFromConfig(c).CreateServiceLinkedRole(ctx, &iam.CreateServiceLinkedRoleInput{AWSServiceName: &service})
	if err != nil && !client.Refused(err, "InvalidInput") { // it is there already
		return err
	}
	role := "arn:aws:iam::" + w.Account + ":role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"
	err = client.Ask(ctx, c, "config:PutConfigurationRecorder", client.Fields{"ConfigurationRecorder": client.Fields{
		"name": name, "roleARN": role, "recordingGroup": client.Fields{"allSupported": true, "includeGlobalResourceTypes": true},
	}}, nil)
	if err != nil {
		return err
	}
	return client.Ask(ctx, c, "config:PutDeliveryChannel", client.Fields{"DeliveryChannel": client.Fields{"name": name, "s3BucketName": bucket}}, nil)
}

// logBucket is the deployment's bucket of logs, empty before there is one.
func logBucket(ctx context.Context, c client.Config, w Wanted) (string, error) {
	name := "/rocca/" + w.Deployment + "/base/LogBucket"
	var answer struct{ Parameter struct{ Value string } }
	err := client.Ask(ctx, c, "ssm:GetParameter", client.Fields{"Name": name}, &answer)
	if client.Refused(err, "ParameterNotFound") {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return answer.Parameter.Value, nil
}

func hub(c client.Config, w Wanted) Setting {
	asks := securityhub.NewFromConfig(c)
	return Setting{
		Name:  "Security Hub",
		Why:   "checks the account against AWS's own list of good practice, every day",
		Price: "$0.001 for each check, about $4 a month; under its newer plan per resource it takes over what GuardDuty and Inspector bill",
		Read: func(ctx context.Context) (State, error) {
			_, err := asks.DescribeHub(ctx, &securityhub.DescribeHubInput{})
			if client.Refused(err, "InvalidAccessException", "ResourceNotFoundException") { // not subscribed
				return State{Is: "off", Undo: []string{"aws securityhub disable-security-hub --region " + c.Region}}, nil
			}
			if err != nil {
				return State{}, err
			}
			return State{Good: true, Is: "on"}, nil
		},
		Set: func(ctx context.Context) error {
			standards := true
			_, err := asks.EnableSecurityHub(ctx, &securityhub.EnableSecurityHubInput{EnableDefaultStandards: &standards, Tags: tags(w)})
			return err
		},
	}
}

func inspector(c client.Config, w Wanted) Setting {
	asks := inspector2.NewFromConfig(c)
	return Setting{
		Name:  "Inspector",
		Why:   "tells which programs of an instance have known holes",
		Price: "about $1.25 a month for each instance; 15 days free",
		Read: func(ctx context.Context) (State, error) {
			answer, err := asks.BatchGetAccountStatus(ctx, &inspector2.BatchGetAccountStatusInput{AccountIds: []string{w.Account}})
			if err != nil {
				return State{}, err
			}
			for _, a := range answer.Accounts {
				if a.ResourceState == nil || a.ResourceState.Ec2 == nil {
					continue
				}
				switch a.ResourceState.Ec2.Status {
				case inspectortypes.StatusEnabled, inspectortypes.StatusEnabling:
					return State{Good: true, Is: "on for instances"}, nil
				case inspectortypes.StatusDisabled, inspectortypes.StatusDisabling:
					return State{Is: "off for instances", Undo: []string{"aws inspector2 disable --region " + c.Region + " --resource-types EC2"}}, nil
				}
			}
			return State{}, errors.New("whether it is on, AWS does not say")
		},
		Set: func(ctx context.Context) error {
			_, err := asks.Enable(ctx, &inspector2.EnableInput{AccountIds: []string{w.Account}, ResourceTypes: []inspectortypes.ResourceScanType{inspectortypes.ResourceScanTypeEc2}})
			return err
		},
	}
}

// contact is whom AWS tells about abuse and security. One that is there stays.
func contact(c client.Config, w Wanted) Setting {
	asks := accountapi.NewFromConfig(c)
	return Setting{
		Name: "security contact",
		Why:  "AWS tells somebody who reads it when the account is misused",
		Read: func(ctx context.Context) (State, error) {
			answer, err := asks.GetAlternateContact(ctx, &accountapi.GetAlternateContactInput{AlternateContactType: accounttypes.AlternateContactTypeSecurity})
			if client.Refused(err, "ResourceNotFoundException") {
				state := State{Is: "none", Undo: []string{"aws account delete-alternate-contact --alternate-contact-type SECURITY"}}
				if w.Phone == "" {
					state.Left = "AWS takes none without a telephone number (--phone)"
				}
				return state, nil
			}
			if err != nil {
				return State{}, err
			}
			if answer.AlternateContact == nil {
				return State{}, errors.New("who it is, AWS does not say")
			}
			return State{Good: true, Is: strings.TrimSpace(aws.ToString(answer.AlternateContact.EmailAddress))}, nil
		},
		Set: func(ctx context.Context) error {
			name, title := "Security", "Security contact of "+w.Deployment
			_, err := asks.PutAlternateContact(ctx, &accountapi.PutAlternateContactInput{
				AlternateContactType: accounttypes.AlternateContactTypeSecurity, Name: &name, Title: &title, EmailAddress: &w.Email, PhoneNumber: &w.Phone,
			})
			return err
		},
	}
}

func tags(w Wanted) map[string]string {
	return map[string]string{"rocca:deployment": w.Deployment, "rocca:role": "account"}
}
