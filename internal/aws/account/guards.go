package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

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
	name := "rocca-" + w.Deployment
	return Setting{
		Name: "IAM Access Analyzer",
		Why:  "tells which buckets, keys, roles and secrets others can reach",
		Read: func(ctx context.Context) (State, error) {
			for path := "/analyzer"; path != ""; {
				var page struct {
					Analyzers []struct{ Name, Type, Status string }
					NextToken string
				}
				if err := client.AskREST(ctx, c, "access-analyzer:ListAnalyzers", http.MethodGet, path, nil, &page); err != nil {
					return State{}, err
				}
				for _, a := range page.Analyzers {
					outside := a.Type == "ACCOUNT" || a.Type == "ORGANIZATION"
					if outside && a.Status == "ACTIVE" {
						return State{Good: true, Is: "on: " + a.Name}, nil
					}
				}
				path = ""
				if page.NextToken != "" {
					path = "/analyzer?" + url.Values{"nextToken": {page.NextToken}}.Encode()
				}
			}
			return State{Is: "off", Undo: []string{fmt.Sprintf("aws accessanalyzer delete-analyzer --region %s --analyzer-name %s", c.Region, name)}}, nil
		},
		Set: func(ctx context.Context) error {
			return client.AskREST(ctx, c, "access-analyzer:CreateAnalyzer", http.MethodPut, "/analyzer", client.Fields{
				"analyzerName": name, "type": "ACCOUNT", "tags": tags(w), "clientToken": rand.Text(),
			}, nil)
		},
	}
}

func guardDuty(c client.Config, w Wanted) Setting {
	// detector finds the detector, of which a region has one at most.
	detector := func(ctx context.Context) (id string, on bool, err error) {
		var list struct{ DetectorIDs []string }
		err = client.AskREST(ctx, c, "guardduty:ListDetectors", http.MethodGet, "/detector", nil, &list)
		if err != nil || len(list.DetectorIDs) == 0 {
			return "", false, err
		}
		id = list.DetectorIDs[0]
		var found struct{ Status string }
		if err := client.AskREST(ctx, c, "guardduty:GetDetector", http.MethodGet, "/detector/"+url.PathEscape(id), nil, &found); err != nil {
			return "", false, err
		}
		return id, found.Status == "ENABLED", nil
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
			if id != "" {
				return client.AskREST(ctx, c, "guardduty:UpdateDetector", http.MethodPost, "/detector/"+url.PathEscape(id), client.Fields{"enable": true}, nil)
			}
			return client.AskREST(ctx, c, "guardduty:CreateDetector", http.MethodPost, "/detector", client.Fields{
				"enable": true, "findingPublishingFrequency": "FIFTEEN_MINUTES", "tags": tags(w), "clientToken": rand.Text(),
			}, nil)
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
	err = client.AskQuery(ctx, c, "iam:CreateServiceLinkedRole", client.Form{"AWSServiceName": "config.amazonaws.com"}, nil)
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
	return Setting{
		Name:  "Security Hub",
		Why:   "checks the account against AWS's own list of good practice, every day",
		Price: "$0.001 for each check, about $4 a month; under its newer plan per resource it takes over what GuardDuty and Inspector bill",
		Read: func(ctx context.Context) (State, error) {
			err := client.AskREST(ctx, c, "securityhub:DescribeHub", http.MethodGet, "/accounts", nil, nil)
			if client.Refused(err, "InvalidAccessException", "ResourceNotFoundException") { // not subscribed
				return State{Is: "off", Undo: []string{"aws securityhub disable-security-hub --region " + c.Region}}, nil
			}
			if err != nil {
				return State{}, err
			}
			return State{Good: true, Is: "on"}, nil
		},
		Set: func(ctx context.Context) error {
			return client.AskREST(ctx, c, "securityhub:EnableSecurityHub", http.MethodPost, "/accounts", client.Fields{"EnableDefaultStandards": true, "Tags": tags(w)}, nil)
		},
	}
}

func inspector(c client.Config, w Wanted) Setting {
	return Setting{
		Name:  "Inspector",
		Why:   "tells which programs of an instance have known holes",
		Price: "about $1.25 a month for each instance; 15 days free",
		Read: func(ctx context.Context) (State, error) {
			var answer struct {
				Accounts []struct {
					ResourceState struct{ EC2 struct{ Status string } }
				}
			}
			err := client.AskREST(ctx, c, "inspector2:BatchGetAccountStatus", http.MethodPost, "/status/batch/get", client.Fields{"accountIds": []string{w.Account}}, &answer)
			if err != nil {
				return State{}, err
			}
			for _, a := range answer.Accounts {
				switch a.ResourceState.EC2.Status {
				case "ENABLED", "ENABLING":
					return State{Good: true, Is: "on for instances"}, nil
				case "DISABLED", "DISABLING":
					return State{Is: "off for instances", Undo: []string{"aws inspector2 disable --region " + c.Region + " --resource-types EC2"}}, nil
				}
			}
			return State{}, errors.New("whether it is on, AWS does not say")
		},
		Set: func(ctx context.Context) error {
			return client.AskREST(ctx, c, "inspector2:Enable", http.MethodPost, "/enable", client.Fields{
				"accountIds": []string{w.Account}, "resourceTypes": []string{"EC2"}, "clientToken": rand.Text(),
			}, nil)
		},
	}
}

// contact is whom AWS tells about abuse and security. One that is there stays.
func contact(c client.Config, w Wanted) Setting {
	return Setting{
		Name: "security contact",
		Why:  "AWS tells somebody who reads it when the account is misused",
		Read: func(ctx context.Context) (State, error) {
			var answer struct {
				AlternateContact *struct{ EmailAddress string }
			}
			err := client.AskREST(ctx, c, "account:GetAlternateContact", http.MethodPost, "/getAlternateContact", client.Fields{"AlternateContactType": "SECURITY"}, &answer)
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
			return State{Good: true, Is: strings.TrimSpace(answer.AlternateContact.EmailAddress)}, nil
		},
		Set: func(ctx context.Context) error {
			return client.AskREST(ctx, c, "account:PutAlternateContact", http.MethodPost, "/putAlternateContact", client.Fields{
				"AlternateContactType": "SECURITY", "Name": "Security", "Title": "Security contact of " + w.Deployment, "EmailAddress": w.Email, "PhoneNumber": w.Phone,
			}, nil)
		},
	}
}

func tags(w Wanted) map[string]string {
	return map[string]string{"rocca:deployment": w.Deployment, "rocca:role": "account"}
}
