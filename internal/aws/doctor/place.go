package doctor

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"rocca/internal/aws/check"
	"rocca/internal/aws/client"
	"rocca/internal/aws/settings"
)

// everywhere is a region that every account has.
const everywhere = "us-east-1"

// identity tells who asks, and whether the region is enabled: one that is not
// knows nobody.
func (e *exam) identity(ctx context.Context) []check.Check {
	credentials := check.Check{ID: "credentials", What: "AWS knows who asks"}
	region := check.Check{ID: "region.enabled", What: "the region is enabled in this account"}
	who, err := client.Who(ctx, e.cloud)
	if client.Refused(err, "InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "OptInRequired") {
		there := e.cloud.Copy()
		there.Region = everywhere
		if elsewhere, err := client.Who(ctx, there); err == nil {
			region.Status, region.Found = check.Fail, e.cloud.Region+" does not know these credentials, and "+everywhere+" does"
			region.Fix = "aws account enable-region --region-name " + e.cloud.Region
			who = elsewhere
		}
	}
	if who.Account == "" {
		v := unseen(err)
		credentials.Status, credentials.Found, credentials.Fix = check.Fail, v.found, v.fix
		return []check.Check{credentials}
	}
	credentials.Status, credentials.Found = check.OK, who.ARN
	if strings.HasSuffix(who.ARN, ":root") {
		credentials.Status = check.Warn
		credentials.Found = "the root user of account " + who.Account
		credentials.Fix = "make a role with the policy that rocca aws policy deploy prints, and keep the root user locked away"
	}
	if region.Status == "" {
		v, err := e.enabled(ctx)
		if err != nil {
			v = unseen(err)
		}
		region.Status, region.Found, region.Fix = v.status, v.found, v.fix
	}
	return []check.Check{credentials, region}
}

func (e *exam) enabled(ctx context.Context) (verdict, error) {
	found, err := e.servers.DescribeRegions(ctx, &ec2.DescribeRegionsInput{AllRegions: aws.Bool(true), RegionNames: []string{e.cloud.Region}})
	if err != nil {
		return verdict{}, err
	}
	for _, r := range found.Regions {
		if state := aws.ToString(r.OptInStatus); state == "not-opted-in" {
			return fail("aws account enable-region --region-name "+e.cloud.Region, "%s is not enabled", e.cloud.Region), nil
		}
	}
	return ok("%s", e.cloud.Region), nil
}

func (e *exam) residency() check.Check {
	c := check.Check{ID: "region.residency", What: "data stays where it has to", Status: check.OK, Found: "anywhere is fine: data_residency is not set"}
	if e.wanted.DataResidency == "eu" {
		c.Found = e.cloud.Region + " is in the EU"
		if !e.wanted.EU() {
			c.Status, c.Found, c.Fix = check.Fail, e.cloud.Region+" is not in the EU, and data_residency is eu", "region: "+strings.Join(european(), ", ")
		}
		if to := e.wanted.Backup.CopyRegion; to != "" && !slices.Contains(european(), to) {
			c.Status, c.Found, c.Fix = check.Fail, "backups are copied to "+to+", which is not in the EU", "backup.copy_region: "+strings.Join(european(), ", ")
		}
	}
	return c
}

func european() []string {
	var names []string
	for _, r := range settings.Regions() {
		if r.EU {
			names = append(names, r.Name)
		}
	}
	return names
}

func (e *exam) zones(ctx context.Context) (verdict, error) {
	found, err := e.servers.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
	if err != nil {
		return verdict{}, err
	}
	var there, bad []string
	for _, z := range found.AvailabilityZones {
		if z.State == types.AvailabilityZoneStateAvailable {
			there = append(there, aws.ToString(z.ZoneName))
		}
	}
	for _, name := range e.wanted.Network.Zones {
		if !slices.Contains(there, name) {
			bad = append(bad, name)
		}
	}
	if len(bad) > 0 {
		return fail("network.zones: two or three of "+strings.Join(there, ", "), "not there or not available: %s", strings.Join(bad, ", ")), nil
	}
	return ok("%s", strings.Join(e.wanted.Network.Zones, ", ")), nil
}

// serviceNames are AWS's own names, in the list of what a region has, of the
// services that types of resources belong to. Budgets and IAM are of no region.
var serviceNames = map[string]string{
	"AccessAnalyzer":         "accessanalyzer",
	"AutoScaling":            "autoscaling",
	"Backup":                 "backup",
	"CertificateManager":     "acm",
	"CloudTrail":             "cloudtrail",
	"CloudWatch":             "cloudwatch",
	"EC2":                    "ec2",
	"ElastiCache":            "elasticache",
	"ElasticLoadBalancingV2": "elb",
	"Events":                 "events",
	"KMS":                    "kms",
	"Logs":                   "logs",
	"RDS":                    "rds",
	"Route53":                "route53",
	"Route53Resolver":        "route53resolver",
	"S3":                     "s3",
	"SNS":                    "sns",
	"SSM":                    "ssm",
	"SecretsManager":         "secretsmanager",
	"WAFv2":                  "waf-regional",
}

func (e *exam) services(ctx context.Context) (verdict, error) {
	needed := map[string]bool{
		"guardduty": e.wanted.Account.GuardDuty, "config": e.wanted.Account.Config,
		"securityhub": e.wanted.Account.Hub, "inspector2": e.wanted.Account.Inspector,
	}
	for _, kind := range e.kinds() {
		if name := serviceNames[strings.Split(kind, "::")[1]]; name != "" {
			needed[name] = true
		}
	}
	path := "/aws/service/global-infrastructure/regions/" + e.cloud.Region + "/services"
	there := 0
	for question := (client.Fields{"Path": path}); ; {
		var page struct {
			Parameters []struct{ Value string }
			NextToken  string
		}
		if err := client.Ask(ctx, e.cloud, "ssm:GetParametersByPath", question, &page); err != nil {
			return verdict{}, err
		}
		for _, p := range page.Parameters {
			there++
			needed[p.Value] = false
		}
		if page.NextToken == "" {
			break
		}
		question["NextToken"] = page.NextToken
	}
	if there == 0 {
		return verdict{check.Unknown, "AWS lists no services of " + e.cloud.Region, ""}, nil
	}
	var missing []string
	for name, isMissing := range needed {
		if isMissing {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fail("take another region, or turn off what needs them", "not in %s: %s", e.cloud.Region, strings.Join(missing, ", ")), nil
	}
	return ok("of %d services", there), nil
}
