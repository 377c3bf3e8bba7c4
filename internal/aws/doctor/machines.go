package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"rocca/internal/aws/artefact"
	"rocca/internal/aws/client"
	"rocca/internal/aws/image"
)

// missing lists those of a first list that are not in the second.
func missing(wanted, there []string) []string {
	return slices.DeleteFunc(slices.Clone(wanted), func(name string) bool { return slices.Contains(there, name) })
}

func (e *exam) instanceType(ctx context.Context) (verdict, error) {
	kind := e.wanted.Instance.Type
	offered, err := e.servers.DescribeInstanceTypeOfferings(ctx, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: types.LocationTypeAvailabilityZone,
		Filters:      []types.Filter{{Name: aws.String("instance-type"), Values: []string{kind}}},
	})
	if err != nil {
		return verdict{}, err
	}
	var there []string
	for _, o := range offered.InstanceTypeOfferings {
		there = append(there, aws.ToString(o.Location))
	}
	slices.Sort(there)
	switch bad := missing(e.wanted.Network.Zones, there); {
	case len(there) == 0:
		return fail("instance.type: another one, such as t4g.small or t3.small", "%s has no %s", e.cloud.Region, kind), nil
	case len(bad) > 0:
		return fail("network.zones: two or three of "+strings.Join(there, ", "), "%s is not in %s", kind, strings.Join(bad, ", ")), nil
	}
	return ok("%s (%s)", kind, e.wanted.Architecture()), nil
}

// oldImage is when an image is old: Debian publishes a new one every few weeks.
const oldImage = 90 // days

func (e *exam) image(ctx context.Context) (verdict, error) {
	const newer = "rocca aws image --pin takes the newest"
	if e.wanted.Instance.Image == "" {
		return fail(newer, "none is pinned"), nil
	}
	i, err := image.Look(ctx, e.cloud, e.wanted.Instance.Image)
	if errors.Is(err, image.ErrNone) {
		return fail(newer, "%s is not in %s, or not shared with this account", e.wanted.Instance.Image, e.cloud.Region), nil
	}
	if err != nil {
		return verdict{}, err
	}
	switch days := i.Days(e.now); {
	case i.State != "available":
		return fail(newer, "%s is %s", i.ID, i.State), nil
	case i.Architecture != e.wanted.Architecture():
		return fail(newer, "%s is for %s, and %s is %s", i.ID, i.Architecture, e.wanted.Instance.Type, e.wanted.Architecture()), nil
	case i.Owner != image.Owner:
		return warn(newer, "%s (%s) is of account %s, not of Debian's %s", i.ID, i.Name, i.Owner, image.Owner), nil
	case !slices.Contains(image.Releases, i.Debian()):
		return fail(newer, "%s (%s) is no Debian that rocca knows", i.ID, i.Name), nil
	case !i.Deprecated.IsZero() && i.Deprecated.Before(e.now):
		return warn(newer, "%s is deprecated since %s", i.Name, i.Deprecated.Format("2006-01-02")), nil
	case days > oldImage:
		return warn(newer, "%s is %d days old", i.Name, days), nil
	default:
		return ok("%s, %d days old", i.Name, days), nil
	}
}

// program looks at the file that deploy would put into the bucket.
func (e *exam) program(context.Context) (verdict, error) {
	if url := e.wanted.Program.URL; url != "" {
		return ok("they fetch it from %s", url), nil
	}
	if _, err := artefact.Program(e.wanted); err != nil {
		found, fix, _ := strings.Cut(err.Error(), "\nhint: ")
		return fail(fix, "%s", found), nil
	}
	return ok("it is for %s", e.wanted.Architecture()), nil
}

const engine = "mysql"

func (e *exam) database(ctx context.Context) (verdict, error) {
	if !e.wanted.RDS() {
		return verdict{}, nil
	}
	d, databases := e.wanted.Database, rds.NewFromConfig(e.cloud)
	more := func(in *rds.DescribeOrderableDBInstanceOptionsInput, out *rds.DescribeOrderableDBInstanceOptionsOutput) bool {
		return client.Next(&in.Marker, out.Marker)
	}
	var there []string
	standby, orderable := false, false
	for page, err := range client.Pages(ctx, databases.DescribeOrderableDBInstanceOptions, &rds.DescribeOrderableDBInstanceOptionsInput{
		Engine: aws.String(engine), EngineVersion: &d.Version, DBInstanceClass: &d.Class, Vpc: aws.Bool(true),
	}, more) {
		if err != nil {
			return verdict{}, err
		}
		for _, o := range page.OrderableDBInstanceOptions {
			if aws.ToString(o.StorageType) != "gp3" {
				continue
			}
			orderable = true
			standby = standby || aws.ToBool(o.MultiAZCapable)
			for _, zone := range o.AvailabilityZones {
				there = append(there, aws.ToString(zone.Name))
			}
		}
	}
	switch bad := missing(e.wanted.Network.Zones, there); {
	case !orderable:
		return e.versions(ctx, databases)
	case d.MultiAZ && !standby:
		return fail("database.class: another one, or database.multi_az: false", "%s cannot have a standby", d.Class), nil
	case len(bad) == len(e.wanted.Network.Zones), d.MultiAZ && len(e.wanted.Network.Zones)-len(bad) < 2:
		return fail("database.class: another one, or other network.zones", "%s is not in %s", d.Class, strings.Join(bad, ", ")), nil
	}
	return ok("MySQL %s on %s", d.Version, d.Class), nil
}

// versions tells what there is instead of a combination that cannot be ordered.
func (e *exam) versions(ctx context.Context, databases *rds.Client) (verdict, error) {
	d := e.wanted.Database
	series := d.Version // 8.4.9 is of the series 8.4
	if parts := strings.SplitN(d.Version, ".", 3); len(parts) == 3 {
		series = parts[0] + "." + parts[1]
	}
	family := engine + series
	more := func(in *rds.DescribeDBEngineVersionsInput, out *rds.DescribeDBEngineVersionsOutput) bool {
		return client.Next(&in.Marker, out.Marker)
	}
	var there []string
	for page, err := range client.Pages(ctx, databases.DescribeDBEngineVersions, &rds.DescribeDBEngineVersionsInput{Engine: aws.String(engine), DBParameterGroupFamily: &family}, more) {
		if err != nil {
			return verdict{}, err
		}
		for _, v := range page.DBEngineVersions {
			there = append(there, aws.ToString(v.EngineVersion))
		}
	}
	if slices.Contains(there, d.Version) {
		return fail("database.class: another one", "RDS does not offer MySQL %s with gp3 storage on %s", d.Version, d.Class), nil
	}
	return fail("database.version: one of "+strings.Join(there, ", "), "RDS has no MySQL %s", d.Version), nil
}
