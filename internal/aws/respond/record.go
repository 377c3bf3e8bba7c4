package respond

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"rocca/internal/aws/client"
	"rocca/internal/incident"
)

// How far back is looked, and how much is taken at most: containment waits.
const (
	trailBack   = 90 * 24 * time.Hour
	flowsBack   = 24 * time.Hour
	samplesBack = 3 * time.Hour // that the firewall keeps
	trailPages  = 40            // of 50 events; CloudTrail answers twice in a second
	flowPages   = 10            // of up to 10,000 lines
	mostAtOnce  = 4

	recordLasts = 90 * time.Second // for all of it together
)

// reading is a thing that is recorded.
type reading struct {
	name string // of the file
	by   string // what AWS is asked
	take func(context.Context, Before) ([]byte, error)
}

// errNone says that there is nothing of the kind.
var errNone = errors.New("there is none")

// readings lists what is recorded.
func (r *Response) readings() []reading {
	return []reading{
		{"instance.json", "ec2:DescribeInstances", r.recordInstance},
		{"user-data.txt", "ec2:DescribeInstanceAttribute", r.recordUserData},
		{"console.txt", "ec2:GetConsoleOutput", r.recordConsole},
		{"disks.json", "ec2:DescribeVolumes", r.recordDisks},
		{"interfaces.json", "ec2:DescribeNetworkInterfaces", r.recordInterfaces},
		{"groups.json", "ec2:DescribeSecurityGroups", r.recordGroups},
		{"role.json", "iam:GetRolePolicy", r.recordRole},
		{"service.json", "elasticloadbalancing:DescribeTargetHealth", r.recordService},
		{"trail-role.json", "cloudtrail:LookupEvents", func(ctx context.Context, b Before) ([]byte, error) {
			return r.recordTrail(ctx, "Username", b.Instance) // the name of its sessions
		}},
		{"trail-instance.json", "cloudtrail:LookupEvents", func(ctx context.Context, b Before) ([]byte, error) {
			return r.recordTrail(ctx, "ResourceName", b.Instance)
		}},
		{"flows.txt", "logs:FilterLogEvents", r.recordFlows},
		{"findings.json", "guardduty:GetFindings", r.recordFindings},
		{"requests.json", "wafv2:GetSampledRequests", r.recordRequests},
	}
}

func (r *Response) planRecord(context.Context) ([]string, error) {
	var all []string
	for _, one := range r.readings() {
		all = append(all, one.by+" -> "+one.name)
	}
	return all, nil
}

// record reads all that can be read. What cannot is told, and holds up nothing.
func (r *Response) record(ctx context.Context, c *incident.Case) error {
	b, err := r.before(ctx, c)
	if err != nil {
		return err
	}
	for what, why := range b.Unseen {
		if err := c.NotTaken(what, why); err != nil {
			return err
		}
	}
	if _, err := c.PutJSON("before.json", "rocca", b); err != nil {
		return err
	}
	soon, cancel := context.WithTimeoutCause(ctx, recordLasts, fmt.Errorf("it took longer than %s, and containment waits", recordLasts))
	defer cancel()
	var group sync.WaitGroup
	var mu sync.Mutex
	var problems []error
	places := make(chan struct{}, mostAtOnce)
	for _, one := range r.readings() {
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			if err := r.take(ctx, soon, c, b, one); err != nil {
				mu.Lock()
				defer mu.Unlock()
				problems = append(problems, err)
			}
		})
	}
	group.Wait()
	return errors.Join(problems...)
}

// take records one thing, if it comes soon. Its error is one of the case, or
// ends the response.
func (r *Response) take(ctx, soon context.Context, c *incident.Case, b Before, one reading) error {
	content, err := one.take(soon, b)
	if hopeless(ctx, err) {
		return err
	}
	if err != nil && soon.Err() != nil {
		err = context.Cause(soon)
	}
	if len(content) > 0 {
		if _, err := c.Put(one.name, one.by, content); err != nil {
			return err
		}
	}
	if err != nil {
		return c.NotTaken(one.name, client.Explain(err).Error())
	}
	return nil
}

// indented is JSON without what is empty.
func indented(v any) ([]byte, error) {
	var out bytes.Buffer
	err := json.Indent(&out, []byte(shown(v)), "", "  ")
	out.WriteByte('\n')
	return out.Bytes(), err
}

func (r *Response) recordInstance(ctx context.Context, _ Before) ([]byte, error) {
	i, err := r.instance(ctx)
	if err != nil {
		return nil, err
	}
	return indented(i)
}

func (r *Response) recordUserData(ctx context.Context, b Before) ([]byte, error) {
	a, err := r.ec2.DescribeInstanceAttribute(ctx, &ec2.DescribeInstanceAttributeInput{InstanceId: &b.Instance, Attribute: types.InstanceAttributeNameUserData})
	if err != nil {
		return nil, err
	}
	if a.UserData == nil || aws.ToString(a.UserData.Value) == "" {
		return nil, errNone
	}
	text, err := base64.StdEncoding.DecodeString(*a.UserData.Value)
	if err != nil {
		text = []byte(*a.UserData.Value)
	}
	return fmt.Appendf(nil, "# SHA-256 of the whole: %x\n%s\n", sha256.Sum256(text), redacted(string(text))), nil
}

func (r *Response) recordConsole(ctx context.Context, b Before) ([]byte, error) {
	a, err := r.ec2.GetConsoleOutput(ctx, &ec2.GetConsoleOutputInput{InstanceId: &b.Instance})
	if err != nil {
		return nil, err
	}
	text, err := base64.StdEncoding.DecodeString(aws.ToString(a.Output))
	if err != nil {
		text = []byte(aws.ToString(a.Output))
	}
	if len(text) == 0 {
		return nil, errNone
	}
	return []byte(redacted(string(text))), nil
}

func (r *Response) recordDisks(ctx context.Context, b Before) ([]byte, error) {
	var ids []string
	for _, v := range b.Volumes {
		ids = append(ids, v.ID)
	}
	if len(ids) == 0 {
		return nil, errNone
	}
	a, err := r.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: ids})
	if err != nil {
		return nil, err
	}
	return indented(a.Volumes)
}

func (r *Response) recordInterfaces(ctx context.Context, b Before) ([]byte, error) {
	a, err := r.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{{Name: aws.String("attachment.instance-id"), Values: []string{b.Instance}}}})
	if err != nil {
		return nil, err
	}
	return indented(a.NetworkInterfaces)
}

func (r *Response) recordGroups(ctx context.Context, b Before) ([]byte, error) {
	var ids []string
	for _, i := range b.Interfaces {
		ids = append(ids, i.Groups...)
	}
	if len(ids) == 0 {
		return nil, errNone
	}
	slices.Sort(ids)
	a, err := r.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: slices.Compact(ids)})
	if err != nil {
		return nil, err
	}
	return indented(a.SecurityGroups)
}

// recordRole reads what the role may do: that is what an intruder could.
func (r *Response) recordRole(ctx context.Context, b Before) ([]byte, error) {
	if b.Role == "" {
		return nil, errNone
	}
	role := struct {
		Role     string
		Profile  string
		Attached []string
		Inline   map[string]json.RawMessage
	}{Role: b.Role, Profile: b.Profile, Inline: map[string]json.RawMessage{}}
	var problems []error
	var attached struct {
		ARNs []string `xml:"AttachedPolicies>member>PolicyArn"`
	}
	problems = append(problems, client.AskQuery(ctx, r.cloud, "iam:ListAttachedRolePolicies", client.Form{"RoleName": b.Role}, &attached))
	role.Attached = attached.ARNs
	var inline struct {
		Names []string `xml:"PolicyNames>member"`
	}
	problems = append(problems, client.AskQuery(ctx, r.cloud, "iam:ListRolePolicies", client.Form{"RoleName": b.Role}, &inline))
	for _, name := range inline.Names {
		text, err := r.rolePolicy(ctx, b.Role, name)
		problems = append(problems, err)
		if err == nil && json.Valid([]byte(text)) {
			role.Inline[name] = json.RawMessage(text)
		}
	}
	content, err := indented(role)
	return content, errors.Join(append(problems, err)...)
}

// rolePolicy reads an inline policy of a role. What cannot be decoded is empty.
func (r *Response) rolePolicy(ctx context.Context, role, name string) (string, error) {
	var said struct{ PolicyDocument string }
	if err := client.AskQuery(ctx, r.cloud, "iam:GetRolePolicy", client.Form{"RoleName": role, "PolicyName": name}, &said); err != nil {
		return "", err
	}
	text, _ := url.QueryUnescape(said.PolicyDocument)
	return text, nil
}

// recordService tells how load balancers and the auto-scaling group see it.
func (r *Response) recordService(ctx context.Context, b Before) ([]byte, error) {
	service := map[string]any{}
	var problems []error
	if b.Group != nil {
		now, err := r.members(ctx, b.Group.Name)
		problems, service[b.Group.Name] = append(problems, err), now
	}
	for _, t := range b.Targets {
		health, err := r.healthOf(ctx, t.Group)
		problems, service[lastPart(t.Group)] = append(problems, err), health
	}
	if len(service) == 0 {
		return nil, errNone
	}
	content, err := indented(service)
	return content, errors.Join(append(problems, err)...)
}

// recordTrail reads who called what, of the last 90 days.
func (r *Response) recordTrail(ctx context.Context, attribute, value string) ([]byte, error) {
	type event struct {
		EventID         string `json:"EventId"`
		EventName       string
		EventTime       float64
		EventSource     string
		Username        string `json:",omitempty"`
		CloudTrailEvent string
	}
	var all []event
	fields := client.Fields{"LookupAttributes": []client.Fields{{"AttributeKey": attribute, "AttributeValue": value}}, "StartTime": r.tools.Now().Add(-trailBack).Unix(), "MaxResults": 50}
	for range trailPages {
		var said struct {
			Events    []event
			NextToken string
		}
		if err := client.Ask(ctx, r.cloud, "cloudtrail:LookupEvents", fields, &said); err != nil {
			content, _ := indented(all) // what came before is worth keeping
			if len(all) == 0 {
				content = nil
			}
			return content, err
		}
		for _, e := range said.Events {
			e.CloudTrailEvent = redacted(e.CloudTrailEvent)
			all = append(all, e)
		}
		if said.NextToken == "" {
			if len(all) == 0 {
				return nil, errNone
			}
			return indented(all)
		}
		fields["NextToken"] = said.NextToken
	}
	content, err := indented(all)
	return content, errors.Join(err, fmt.Errorf("there are more than these %d events\nhint: the bucket of the trail has them all", len(all)))
}

// recordFlows reads whom the instance spoke with.
func (r *Response) recordFlows(ctx context.Context, b Before) ([]byte, error) {
	lines, whole, err := r.flows(ctx, b.Interfaces, r.tools.Now().Add(-flowsBack), flowPages)
	if err == nil && len(lines) == 0 {
		err = errNone
	}
	if err == nil && !whole {
		err = fmt.Errorf("there are more than these %d lines\nhint: they are in the log group %s", len(lines), r.prepared.FlowLogs)
	}
	if len(lines) == 0 {
		return nil, err
	}
	return []byte(strings.Join(lines, "\n") + "\n"), err
}

// flows reads the flow logs of interfaces since a time; whole is false when
// there are more.
func (r *Response) flows(ctx context.Context, interfaces []Interface, since time.Time, pages int) (lines []string, whole bool, err error) {
	if r.prepared.FlowLogs == "" {
		return nil, false, errors.New("the deployment has no flow logs")
	}
	var any []string
	for _, i := range interfaces {
		any = append(any, `?"`+i.ID+`"`)
	}
	if len(any) == 0 {
		return nil, true, nil
	}
	fields := client.Fields{"logGroupName": r.prepared.FlowLogs, "startTime": since.UnixMilli(), "filterPattern": strings.Join(any, " ")}
	for range pages {
		var said struct {
			Events    []struct{ Message string }
			NextToken string
		}
		if err := client.Ask(ctx, r.cloud, "logs:FilterLogEvents", fields, &said); err != nil {
			return lines, false, fmt.Errorf("read the flow logs: %w", client.Explain(err))
		}
		for _, e := range said.Events {
			lines = append(lines, e.Message)
		}
		if said.NextToken == "" {
			return lines, true, nil
		}
		fields["nextToken"] = said.NextToken
	}
	return lines, false, nil
}

// recordFindings reads what GuardDuty found about the instance.
func (r *Response) recordFindings(ctx context.Context, b Before) ([]byte, error) {
	var detectors struct{ DetectorIDs []string }
	if err := client.AskREST(ctx, r.cloud, "guardduty:ListDetectors", "GET", "/detector", nil, &detectors); err != nil {
		return nil, err
	}
	var all []json.RawMessage
	for _, detector := range detectors.DetectorIDs {
		var found struct{ FindingIDs []string }
		criteria := client.Fields{"criterion": client.Fields{"resource.instanceDetails.instanceId": client.Fields{"equals": []string{b.Instance}}}}
		if err := client.AskREST(ctx, r.cloud, "guardduty:ListFindings", "POST", "/detector/"+url.PathEscape(detector)+"/findings", client.Fields{"findingCriteria": criteria, "maxResults": 50}, &found); err != nil {
			return nil, err
		}
		if len(found.FindingIDs) == 0 {
			continue
		}
		var findings struct{ Findings []json.RawMessage }
		if err := client.AskREST(ctx, r.cloud, "guardduty:GetFindings", "POST", "/detector/"+url.PathEscape(detector)+"/findings/get", client.Fields{"findingIds": found.FindingIDs}, &findings); err != nil {
			return nil, err
		}
		all = append(all, findings.Findings...)
	}
	if len(all) == 0 {
		return nil, errNone
	}
	return indented(all)
}

// recordRequests reads the samples that the firewall keeps for three hours. Who
// visitors are is taken out of them.
func (r *Response) recordRequests(ctx context.Context, _ Before) ([]byte, error) {
	if r.prepared.Firewall == "" {
		return nil, errors.New("the deployment has no web application firewall")
	}
	acl, _, err := r.readFirewall(ctx)
	if err != nil {
		return nil, err
	}
	type named struct {
		VisibilityConfig struct{ MetricName string }
	}
	var metrics []string
	for _, text := range append(slices.Clone(acl.Rules), json.RawMessage(`{"VisibilityConfig":`+string(acl.VisibilityConfig)+`}`)) {
		var n named
		if err := json.Unmarshal(text, &n); err == nil && n.VisibilityConfig.MetricName != "" {
			metrics = append(metrics, n.VisibilityConfig.MetricName)
		}
	}
	type request struct {
		ClientIP    string
		Country     string
		URI         string
		Method      string
		HTTPVersion string
		Headers     []struct{ Name, Value string }
	}
	type sample struct {
		Request   request
		Timestamp float64
		Action    string
		Weight    int
		Rule      string
	}
	var all []sample
	now := r.tools.Now()
	for _, metric := range metrics {
		var said struct{ SampledRequests []sample }
		err := client.Ask(ctx, r.cloud, "wafv2:GetSampledRequests", client.Fields{"WebAclArn": r.prepared.Firewall, "RuleMetricName": metric, "Scope": regional, "MaxItems": 500,
			"TimeWindow": client.Fields{"StartTime": now.Add(-samplesBack).Unix(), "EndTime": now.Unix()}}, &said)
		if err != nil {
			return nil, err
		}
		for _, s := range said.SampledRequests {
			s.Rule, s.Request.URI = metric, redacted(s.Request.URI)
			for i, h := range s.Request.Headers {
				if s.Request.Headers[i].Value = redacted(h.Value); secretHeader(h.Name) {
					s.Request.Headers[i].Value = masked
				}
			}
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return nil, errNone
	}
	return indented(all)
}
