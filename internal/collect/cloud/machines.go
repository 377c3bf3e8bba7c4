package cloud

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/facts"
)

// metadata are the options of the metadata service, as EC2 tells them.
type metadata struct {
	Endpoint string `xml:"httpEndpoint"`
	Tokens   string `xml:"httpTokens"`
	Hops     int    `xml:"httpPutResponseHopLimit"`
}

func (m metadata) fact() facts.Metadata {
	return facts.Metadata{Endpoint: m.Endpoint, Tokens: m.Tokens, Hops: m.Hops}
}

func (o *observer) askInstances(ctx context.Context) ([]facts.Instance, error) {
	type group struct {
		ID string `xml:"groupId"`
	}
	type instance struct {
		ID       string   `xml:"instanceId"`
		State    string   `xml:"instanceState>name"`
		Type     string   `xml:"instanceType"`
		Image    string   `xml:"imageId"`
		VPC      string   `xml:"vpcId"`
		Subnet   string   `xml:"subnetId"`
		KeyPair  string   `xml:"keyName"`
		Profile  string   `xml:"iamInstanceProfile>arn"`
		PublicIP string   `xml:"ipAddress"`
		Groups   []group  `xml:"groupSet>item"`
		Launched moment   `xml:"launchTime"`
		Metadata metadata `xml:"metadataOptions"`
		Cards    []struct {
			ID     string  `xml:"networkInterfaceId"`
			Groups []group `xml:"groupSet>item"`
		} `xml:"networkInterfaceSet>item"`
		Disks []struct {
			Volume string `xml:"ebs>volumeId"`
		} `xml:"blockDeviceMapping>item"`
		Tags ec2Tags `xml:"tagSet>item"`
	}
	place, err := o.place(ctx)
	if err != nil {
		return nil, err
	}
	var all []facts.Instance
	err = pages(func(mark string) (string, error) {
		var out struct {
			Next      string     `xml:"nextToken"`
			Instances []instance `xml:"reservationSet>item>instancesSet>item"`
		}
		err := client.AskQuery(ctx, o.cloud, "ec2:DescribeInstances", client.Form{"MaxResults": "1000", "NextToken": mark}, &out)
		for _, i := range out.Instances {
			tags := i.Tags.tags()
			if i.State == "terminated" || !place(i.VPC) && !o.ours(tags) {
				continue
			}
			one := facts.Instance{
				ID: i.ID, State: i.State, Type: i.Type, Image: i.Image, VPC: i.VPC, Subnet: i.Subnet, KeyPair: i.KeyPair,
				PublicIP: i.PublicIP, Metadata: i.Metadata.fact(), Launched: i.Launched.Time, ScalingGroup: tags["aws:autoscaling:groupName"], Tags: tags,
			}
			if i.Profile != "" {
				one.Profile = last(i.Profile, "/")
			}
			groups := i.Groups
			if len(i.Cards) > 0 { // what counts are the groups of its interfaces
				groups = nil
			}
			for _, card := range i.Cards {
				one.Interfaces = append(one.Interfaces, card.ID)
				groups = append(groups, card.Groups...)
			}
			for _, g := range groups {
				if !slices.Contains(one.Groups, g.ID) {
					one.Groups = append(one.Groups, g.ID)
				}
			}
			for _, d := range i.Disks {
				if d.Volume != "" {
					one.Volumes = append(one.Volumes, d.Volume)
				}
			}
			all = append(all, one)
		}
		return out.Next, err
	})
	return sorted(all, func(i facts.Instance) string { return i.ID }), err
}

// instanceIDs are those of what is looked at.
func (o *observer) instanceIDs(ctx context.Context) (map[string]bool, error) {
	list, err := o.instances.get(ctx)
	return ids(list, func(i facts.Instance) string { return i.ID }), err
}

func (o *observer) seeInstances(ctx context.Context) (found, error) {
	list, err := o.instances.get(ctx)
	return func(c *facts.Cloud) { c.Instances = append(c.Instances, list...) }, err
}

// seeUserData comes after seeInstances in the list of looks: it fills in what
// those have.
func (o *observer) seeUserData(ctx context.Context) (found, error) {
	list, err := o.instances.get(ctx)
	if err != nil {
		return nil, err
	}
	list, err = each(slices.Clone(list), func(i *facts.Instance) error {
		var attribute struct {
			Data string `xml:"userData>value"`
		}
		if err := client.AskQuery(ctx, o.cloud, "ec2:DescribeInstanceAttribute", client.Form{"InstanceId": i.ID, "Attribute": "userData"}, &attribute); err != nil {
			return err
		}
		i.UserData = scanEncoded(attribute.Data)
		var console struct {
			Output string `xml:"output"`
		}
		if err := client.AskQuery(ctx, o.cloud, "ec2:GetConsoleOutput", client.Form{"InstanceId": i.ID}, &console); err != nil {
			return err
		}
		i.ConsoleOutput = scanEncoded(console.Output)
		return nil
	})
	return func(c *facts.Cloud) {
		for _, seen := range list {
			for i := range c.Instances {
				if c.Instances[i].ID == seen.ID {
					c.Instances[i].UserData, c.Instances[i].ConsoleOutput = seen.UserData, seen.ConsoleOutput
				}
			}
		}
	}, err
}

// scalingGroup has beside the facts which version of its template it uses.
type scalingGroup struct {
	facts.ScalingGroup
	version string
}

func (o *observer) askScalingGroups(ctx context.Context) ([]scalingGroup, error) {
	type template struct {
		ID      string `xml:"LaunchTemplateId"`
		Version string
	}
	type group struct {
		Name      string   `xml:"AutoScalingGroupName"`
		Template  template `xml:"LaunchTemplate"`
		Mixed     template `xml:"MixedInstancesPolicy>LaunchTemplate>LaunchTemplateSpecification"`
		Health    string   `xml:"HealthCheckType"`
		Zones     []string `xml:"AvailabilityZones>member"`
		Subnets   string   `xml:"VPCZoneIdentifier"`
		Min       int      `xml:"MinSize"`
		Max       int      `xml:"MaxSize"`
		Targets   []string `xml:"TargetGroupARNs>member"`
		Suspended []string `xml:"SuspendedProcesses>member>ProcessName"`
		Instances []string `xml:"Instances>member>InstanceId"`
		Tags      tagList  `xml:"Tags>member"`
	}
	own := map[string]bool{}
	if !o.all() {
		var err error
		if own, err = o.instanceIDs(ctx); err != nil {
			return nil, err
		}
	}
	var all []scalingGroup
	err := pages(func(mark string) (string, error) {
		var out struct {
			Next   string  `xml:"NextToken"`
			Groups []group `xml:"AutoScalingGroups>member"`
		}
		err := client.AskQuery(ctx, o.cloud, "autoscaling:DescribeAutoScalingGroups", client.Form{"MaxRecords": "100", "NextToken": mark}, &out)
		for _, g := range out.Groups {
			tags := g.Tags.tags()
			if !o.ours(tags) && !slices.ContainsFunc(g.Instances, func(id string) bool { return own[id] }) {
				continue
			}
			t := g.Template
			if t.ID == "" {
				t = g.Mixed
			}
			all = append(all, scalingGroup{facts.ScalingGroup{
				Name: g.Name, Template: t.ID, Health: g.Health, Zones: g.Zones, Subnets: split(g.Subnets), Min: g.Min, Max: g.Max,
				Targets: g.Targets, Suspended: g.Suspended, Instances: g.Instances, Tags: tags,
			}, t.Version})
		}
		return out.Next, err
	})
	return sorted(all, func(g scalingGroup) string { return g.Name }), err
}

// split takes a list with commas apart.
func split(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

func (o *observer) seeScalingGroups(ctx context.Context) (found, error) {
	list, err := o.scaling.get(ctx)
	return func(c *facts.Cloud) {
		for _, g := range list {
			c.ScalingGroups = append(c.ScalingGroups, g.ScalingGroup)
		}
	}, err
}

// askTemplates takes those with our tag, and those that our groups and instances
// use, in the versions that are used.
func (o *observer) askTemplates(ctx context.Context) ([]facts.LaunchTemplate, error) {
	groups, err := o.scaling.get(ctx)
	if err != nil {
		return nil, err
	}
	instances, err := o.instances.get(ctx)
	if err != nil {
		return nil, err
	}
	used := map[string][]string{} // versions by id
	use := func(id, version string) {
		if id != "" && !slices.Contains(used[id], version) {
			used[id] = append(used[id], version)
		}
	}
	for _, g := range groups {
		use(g.Template, g.version)
	}
	for _, i := range instances {
		use(i.Tags["aws:ec2launchtemplate:id"], i.Tags["aws:ec2launchtemplate:version"])
	}
	type template struct {
		ID       string  `xml:"launchTemplateId"`
		Default  string  `xml:"defaultVersionNumber"`
		Latest   string  `xml:"latestVersionNumber"`
		Tags     ec2Tags `xml:"tagSet>item"`
		versions []facts.LaunchTemplate
	}
	var all []template
	err = pages(func(mark string) (string, error) {
		var out struct {
			Next      string     `xml:"nextToken"`
			Templates []template `xml:"launchTemplates>item"`
		}
		err := client.AskQuery(ctx, o.cloud, "ec2:DescribeLaunchTemplates", client.Form{"MaxResults": "200", "NextToken": mark}, &out)
		for _, t := range out.Templates {
			if len(used[t.ID]) > 0 || o.ours(t.Tags.tags()) {
				all = append(all, t)
			}
		}
		return out.Next, err
	})
	if err != nil {
		return nil, err
	}
	all, err = each(all, func(t *template) error {
		wanted := map[string]bool{}
		for _, version := range used[t.ID] {
			switch version {
			case "", "$Default":
				wanted[t.Default] = true
			case "$Latest":
				wanted[t.Latest] = true
			default:
				wanted[version] = true
			}
		}
		if len(wanted) == 0 {
			wanted[t.Default] = true
		}
		var err error
		t.versions, err = o.askVersions(ctx, t.ID, wanted, t.Tags.tags())
		return err
	})
	var list []facts.LaunchTemplate
	for _, t := range all {
		list = append(list, t.versions...)
	}
	return sorted(list, func(t facts.LaunchTemplate) string { return t.ID + " " + t.Version }), err
}

// askVersions reads those versions of a template.
func (o *observer) askVersions(ctx context.Context, id string, wanted map[string]bool, tags facts.Tags) ([]facts.LaunchTemplate, error) {
	type version struct {
		Name     string   `xml:"launchTemplateName"`
		Number   string   `xml:"versionNumber"`
		Image    string   `xml:"launchTemplateData>imageId"`
		KeyPair  string   `xml:"launchTemplateData>keyName"`
		UserData string   `xml:"launchTemplateData>userData"`
		Metadata metadata `xml:"launchTemplateData>metadataOptions"`
		Cards    []struct {
			PublicIP bool     `xml:"associatePublicIpAddress"`
			Groups   []string `xml:"groupSet>groupId"`
		} `xml:"launchTemplateData>networkInterfaceSet>item"`
		Groups []string `xml:"launchTemplateData>securityGroupIdSet>item"`
		Disks  []struct {
			Encrypted bool `xml:"ebs>encrypted"`
		} `xml:"launchTemplateData>blockDeviceMappingSet>item"`
	}
	form := client.Form{"LaunchTemplateId": id}
	for number := range wanted {
		form["LaunchTemplateVersion."+strconv.Itoa(len(form))] = number
	}
	var list []facts.LaunchTemplate
	err := pages(func(mark string) (string, error) {
		var out struct {
			Next     string    `xml:"nextToken"`
			Versions []version `xml:"launchTemplateVersionSet>item"`
		}
		form["NextToken"] = mark
		err := client.AskQuery(ctx, o.cloud, "ec2:DescribeLaunchTemplateVersions", form, &out)
		for _, v := range out.Versions {
			one := facts.LaunchTemplate{
				ID: id, Name: v.Name, Version: v.Number, Image: v.Image, KeyPair: v.KeyPair, Metadata: v.Metadata.fact(),
				Encrypted: len(v.Disks) > 0, Groups: v.Groups, UserData: scanEncoded(v.UserData), Tags: tags,
			}
			for _, c := range v.Cards {
				one.PublicIP = one.PublicIP || c.PublicIP
				one.Groups = append(one.Groups, c.Groups...)
			}
			for _, d := range v.Disks {
				one.Encrypted = one.Encrypted && d.Encrypted
			}
			list = append(list, one)
		}
		return out.Next, err
	})
	return list, err
}

func (o *observer) seeTemplates(ctx context.Context) (found, error) {
	list, err := o.templates.get(ctx)
	return func(c *facts.Cloud) { c.Templates = list }, err
}

func (o *observer) askVolumes(ctx context.Context) ([]facts.Volume, error) {
	instances, err := o.instanceIDs(ctx)
	if err != nil {
		return nil, err
	}
	var all []facts.Volume
	err = pages(func(mark string) (string, error) {
		var out struct {
			Next    string `xml:"nextToken"`
			Volumes []struct {
				ID        string `xml:"volumeId"`
				Type      string `xml:"volumeType"`
				Encrypted bool   `xml:"encrypted"`
				Key       string `xml:"kmsKeyId"`
				Created   moment `xml:"createTime"`
				Used      []struct {
					Instance string `xml:"instanceId"`
				} `xml:"attachmentSet>item"`
				Tags ec2Tags `xml:"tagSet>item"`
			} `xml:"volumeSet>item"`
		}
		err := client.AskQuery(ctx, o.cloud, "ec2:DescribeVolumes", client.Form{"MaxResults": "500", "NextToken": mark}, &out)
		for _, v := range out.Volumes {
			one := facts.Volume{ID: v.ID, Type: v.Type, Encrypted: v.Encrypted, Key: v.Key, Created: v.Created.Time, Tags: v.Tags.tags()}
			own := o.ours(one.Tags)
			for _, u := range v.Used {
				one.Instances = append(one.Instances, u.Instance)
				own = own || instances[u.Instance]
			}
			if own {
				all = append(all, one)
			}
		}
		return out.Next, err
	})
	return sorted(all, func(v facts.Volume) string { return v.ID }), err
}

func (o *observer) seeVolumes(ctx context.Context) (found, error) {
	list, err := o.volumes.get(ctx)
	return func(c *facts.Cloud) { c.Volumes = list }, err
}

func (o *observer) seeDiskDefaults(ctx context.Context) (found, error) {
	var encrypted struct {
		On bool `xml:"ebsEncryptionByDefault"`
	}
	if err := client.AskQuery(ctx, o.cloud, "ec2:GetEbsEncryptionByDefault", client.Form{}, &encrypted); err != nil {
		return nil, err
	}
	var block struct {
		State string `xml:"state"`
	}
	err := client.AskQuery(ctx, o.cloud, "ec2:GetSnapshotBlockPublicAccessState", client.Form{}, &block)
	return func(c *facts.Cloud) {
		c.DiskDefaults = facts.DiskDefaults{Encrypted: encrypted.On, SnapshotBlock: block.State}
	}, err
}

func (o *observer) seeSnapshots(ctx context.Context) (found, error) {
	volumes, err := o.volumes.get(ctx)
	if err != nil {
		return nil, err
	}
	own := ids(volumes, func(v facts.Volume) string { return v.ID })
	var all []facts.Snapshot
	err = pages(func(mark string) (string, error) {
		var out struct {
			Next      string `xml:"nextToken"`
			Snapshots []struct {
				ID        string  `xml:"snapshotId"`
				Volume    string  `xml:"volumeId"`
				Owner     string  `xml:"ownerId"`
				Encrypted bool    `xml:"encrypted"`
				Started   moment  `xml:"startTime"`
				Tags      ec2Tags `xml:"tagSet>item"`
			} `xml:"snapshotSet>item"`
		}
		err := client.AskQuery(ctx, o.cloud, "ec2:DescribeSnapshots", client.Form{"Owner.1": "self", "MaxResults": "1000", "NextToken": mark}, &out)
		for _, s := range out.Snapshots {
			if tags := s.Tags.tags(); s.Owner == o.account && (own[s.Volume] || o.ours(tags)) {
				all = append(all, facts.Snapshot{ID: s.ID, Volume: s.Volume, Encrypted: s.Encrypted, Started: s.Started.Time, Tags: tags})
			}
		}
		return out.Next, err
	})
	if err != nil {
		return nil, err
	}
	all, err = each(all, func(s *facts.Snapshot) error {
		var out struct {
			Shared []struct {
				Group   string `xml:"group"`
				Account string `xml:"userId"`
			} `xml:"createVolumePermission>item"`
		}
		err := client.AskQuery(ctx, o.cloud, "ec2:DescribeSnapshotAttribute", client.Form{"SnapshotId": s.ID, "Attribute": "createVolumePermission"}, &out)
		for _, to := range out.Shared {
			s.Public = s.Public || to.Group == "all"
			if to.Account != "" {
				s.SharedTo = append(s.SharedTo, to.Account)
			}
		}
		return err
	})
	all = sorted(all, func(s facts.Snapshot) string { return s.ID })
	return func(c *facts.Cloud) { c.Snapshots = all }, err
}

// seeImages asks for those that are used one by one: one that has gone would
// refuse the whole list.
func (o *observer) seeImages(ctx context.Context) (found, error) {
	instances, err := o.instances.get(ctx)
	if err != nil {
		return nil, err
	}
	templates, err := o.templates.get(ctx)
	if err != nil {
		return nil, err
	}
	var all []facts.Image
	add := func(id string) {
		if strings.HasPrefix(id, "ami-") && !slices.ContainsFunc(all, func(i facts.Image) bool { return i.ID == id }) {
			all = append(all, facts.Image{ID: id})
		}
	}
	for _, i := range instances {
		add(i.Image)
	}
	for _, t := range templates {
		add(t.Image)
	}
	all, err = each(all, func(i *facts.Image) error {
		var out struct {
			Images []struct {
				Owner      string `xml:"imageOwnerId"`
				Name       string `xml:"name"`
				Created    moment `xml:"creationDate"`
				Deprecated moment `xml:"deprecationTime"`
				Public     bool   `xml:"isPublic"`
			} `xml:"imagesSet>item"`
		}
		err := client.AskQuery(ctx, o.cloud, "ec2:DescribeImages", client.Form{"ImageId.1": i.ID, "IncludeDeprecated": "true"}, &out)
		if client.Refused(err, "InvalidAMIID.NotFound", "InvalidAMIID.Unavailable") {
			return nil // it has only its id then
		}
		for _, seen := range out.Images {
			*i = facts.Image{ID: i.ID, Owner: seen.Owner, Name: seen.Name, Created: seen.Created.Time, Deprecated: seen.Deprecated.Time, Public: seen.Public}
		}
		return err
	})
	all = sorted(all, func(i facts.Image) string { return i.ID })
	return func(c *facts.Cloud) { c.Images = all }, err
}

func (o *observer) seeManaged(ctx context.Context) (found, error) {
	instances, err := o.instanceIDs(ctx)
	if err != nil {
		return nil, err
	}
	var all []facts.ManagedInstance
	err = pages(func(mark string) (string, error) {
		var out struct {
			NextToken               string
			InstanceInformationList []struct {
				InstanceID       string `json:"InstanceId"`
				PingStatus       string
				AgentVersion     string
				IsLatestVersion  bool
				LastPingDateTime moment
			}
		}
		err := client.Ask(ctx, o.cloud, "ssm:DescribeInstanceInformation", marked(client.Fields{"MaxResults": 50}, "NextToken", mark), &out)
		for _, i := range out.InstanceInformationList {
			if o.all() || instances[i.InstanceID] {
				all = append(all, facts.ManagedInstance{ID: i.InstanceID, Ping: i.PingStatus, Agent: i.AgentVersion, Current: i.IsLatestVersion, Seen: i.LastPingDateTime.Time})
			}
		}
		return out.NextToken, err
	})
	all = sorted(all, func(m facts.ManagedInstance) string { return m.ID })
	return func(c *facts.Cloud) { c.Managed = all }, err
}

// seePatches comes after seeManaged in the list of looks: it fills in what
// those have.
func (o *observer) seePatches(ctx context.Context) (found, error) {
	set, err := o.instanceIDs(ctx)
	if err != nil {
		return nil, err
	}
	list := slices.Sorted(maps.Keys(set))
	patches := map[string]facts.Patches{}
	for part := range slices.Chunk(list, 50) { // no more are taken at once
		err := pages(func(mark string) (string, error) {
			var out struct {
				NextToken           string
				InstancePatchStates []struct {
					InstanceID                  string `json:"InstanceId"`
					OperationEndTime            moment
					MissingCount                int
					SecurityNonCompliantCount   int
					CriticalNonCompliantCount   int
					FailedCount                 int
					InstalledPendingRebootCount int
				}
			}
			err := client.Ask(ctx, o.cloud, "ssm:DescribeInstancePatchStates", marked(client.Fields{"InstanceIds": part}, "NextToken", mark), &out)
			for _, s := range out.InstancePatchStates {
				patches[s.InstanceID] = facts.Patches{At: s.OperationEndTime.Time, MissingSecurity: max(s.SecurityNonCompliantCount, s.CriticalNonCompliantCount), Failed: s.FailedCount, By: "patch manager"}
			}
			return out.NextToken, err
		})
		if err != nil {
			return nil, err
		}
	}
	updates, err := o.updates(ctx)
	return func(c *facts.Cloud) {
		c.Updates = updates
		for i, m := range c.Managed {
			c.Managed[i].Patch = patches[m.ID]
		}
	}, err
}

// updates asks what the servers of the deployment told of themselves in these
// days: package report of instances sends it.
func (o *observer) updates(ctx context.Context) (facts.Updates, error) {
	var told facts.Updates
	if o.all() {
		return told, nil
	}
	var out struct {
		Datapoints []struct {
			Timestamp moment
			Maximum   float64
		}
	}
	err := client.Ask(ctx, o.cloud, "cloudwatch:GetMetricStatistics", client.Fields{
		"Namespace": "rocca/" + o.Deployment, "MetricName": "MissingUpdates", "Statistics": []string{"Maximum"}, "Period": int(time.Hour / time.Second),
		"StartTime": o.Now.Add(-24 * time.Hour).Unix(), "EndTime": o.Now.Unix(),
	}, &out)
	for _, point := range out.Datapoints {
		if point.Timestamp.After(told.At) {
			told = facts.Updates{At: point.Timestamp.Time, Missing: int(point.Maximum)}
		}
	}
	return told, err
}

func (o *observer) seeVulnerable(ctx context.Context) (found, error) {
	var status struct {
		Accounts []struct {
			ResourceState struct{ EC2 struct{ Status string } }
		}
	}
	err := client.AskREST(ctx, o.cloud, "inspector2:BatchGetAccountStatus", "POST", "/status/batch/get", client.Fields{"accountIds": []string{o.account}}, &status)
	if err != nil {
		return nil, err
	}
	var v facts.Vulnerabilities
	for _, a := range status.Accounts {
		v.Enabled = v.Enabled || a.ResourceState.EC2.Status == "ENABLED"
	}
	if !v.Enabled {
		return func(c *facts.Cloud) { c.Vulnerable = v }, nil
	}
	instances, err := o.instanceIDs(ctx)
	if err != nil {
		return nil, err
	}
	equals := func(value string) []client.Fields {
		return []client.Fields{{"comparison": "EQUALS", "value": value}}
	}
	filter := client.Fields{"severity": equals("CRITICAL"), "findingStatus": equals("ACTIVE"), "exploitAvailable": equals("YES"), "resourceType": equals("AWS_EC2_INSTANCE")}
	err = pages(func(mark string) (string, error) {
		var out struct {
			NextToken string
			Findings  []struct {
				Title                       string
				PackageVulnerabilityDetails struct{ VulnerabilityID string }
				Resources                   []struct{ ID string }
			}
		}
		err := client.AskREST(ctx, o.cloud, "inspector2:ListFindings", "POST", "/findings/list", marked(client.Fields{"filterCriteria": filter, "maxResults": 100}, "nextToken", mark), &out)
		for _, f := range out.Findings {
			for _, r := range f.Resources {
				if o.all() || instances[r.ID] {
					v.Critical = append(v.Critical, cmp.Or(f.PackageVulnerabilityDetails.VulnerabilityID, f.Title)+" on "+r.ID)
				}
			}
		}
		return out.NextToken, err
	})
	slices.Sort(v.Critical)
	return func(c *facts.Cloud) { c.Vulnerable = v }, err
}
