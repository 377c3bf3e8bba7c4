package doctor

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"rocca/internal/aws/client"
	"rocca/internal/aws/stack"
)

// quota is one of Service Quotas.
type quota struct{ service, code string }

var (
	networkQuota   = quota{"vpc", "L-F678F1CE"}                  // VPCs per region
	addressQuota   = quota{"ec2", "L-0263D0A3"}                  // Elastic IPs
	processorQuota = quota{"ec2", "L-1216C47A"}                  // vCPUs of running on-demand standard instances
	databaseQuota  = quota{"rds", "L-7B6409FD"}                  // DB instances
	balancerQuota  = quota{"elasticloadbalancing", "L-53DA6B97"} // application load balancers per region
)

// room compares what is needed with what a quota leaves. What this deployment
// has already is not in used.
func (e *exam) room(ctx context.Context, q quota, used, needed int) (verdict, error) {
	if needed == 0 {
		return verdict{}, nil
	}
	var answer struct{ Quota struct{ Value float64 } }
	which := client.Fields{"ServiceCode": q.service, "QuotaCode": q.code}
	err := client.Ask(ctx, e.cloud, "servicequotas:GetServiceQuota", which, &answer)
	if client.Refused(err, "NoSuchResourceException") { // it was never raised
		err = client.Ask(ctx, e.cloud, "servicequotas:GetAWSDefaultServiceQuota", which, &answer)
	}
	if err != nil {
		return verdict{}, err
	}
	limit := answer.Quota.Value
	if float64(used+needed) > limit {
		return fail(fmt.Sprintf("aws service-quotas request-service-quota-increase --service-code %s --quota-code %s --desired-value %d", q.service, q.code, used+needed),
			"%d needed, and others use %d of %g", needed, used, limit), nil
	}
	return ok("%d needed, others use %d of %g", needed, used, limit), nil
}

func (e *exam) roomForNetworks(ctx context.Context) (verdict, error) {
	others, err := e.networks(ctx)
	if err != nil {
		return verdict{}, err
	}
	return e.room(ctx, networkQuota, len(others), e.count("AWS::EC2::VPC"))
}

func (e *exam) roomForAddresses(ctx context.Context) (verdict, error) {
	found, err := e.servers.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{})
	if err != nil {
		return verdict{}, err
	}
	used := 0
	for _, a := range found.Addresses {
		if !e.own(a.Tags) {
			used++
		}
	}
	return e.room(ctx, addressQuota, used, e.count("AWS::EC2::EIP"))
}

func (e *exam) roomForInstances(ctx context.Context) (verdict, error) {
	kinds, err := e.servers.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{types.InstanceType(e.wanted.Instance.Type)}})
	if client.Refused(err, "InvalidInstanceType") || err == nil && len(kinds.InstanceTypes) == 0 {
		return verdict{}, nil // which instance.type tells
	}
	if err != nil {
		return verdict{}, err
	}
	each := 0
	if processors := kinds.InstanceTypes[0].VCpuInfo; processors != nil {
		each = int(aws.ToInt32(processors.DefaultVCpus))
	}
	used := 0
	more := func(in *ec2.DescribeInstancesInput, out *ec2.DescribeInstancesOutput) bool {
		return client.Next(&in.NextToken, out.NextToken)
	}
	for page, err := range client.Pages(ctx, e.servers.DescribeInstances, &ec2.DescribeInstancesInput{
		Filters: []types.Filter{{Name: aws.String("instance-state-name"), Values: []string{"pending", "running"}}},
	}, more) {
		if err != nil {
			return verdict{}, err
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				if i.CpuOptions != nil && i.InstanceLifecycle == "" && standard(i.InstanceType) && !e.own(i.Tags) {
					used += int(aws.ToInt32(i.CpuOptions.CoreCount) * aws.ToInt32(i.CpuOptions.ThreadsPerCore))
				}
			}
		}
	}
	return e.room(ctx, processorQuota, used, each*e.instances())
}

// standard tells whether an instance type counts against the quota of the
// standard ones: A, C, D, H, I, M, R, T and Z.
func standard(kind types.InstanceType) bool {
	if len(kind) < 2 || kind[1] < '0' || kind[1] > '9' { // such as inf1, im4gn, hpc7g
		return len(kind) > 2 && (kind[:2] == "im" || kind[:2] == "is")
	}
	switch kind[0] {
	case 'a', 'c', 'd', 'h', 'i', 'm', 'r', 't', 'z':
		return true
	}
	return false
}

// instances is how many there can be at most.
func (e *exam) instances() int {
	n := e.count("AWS::EC2::Instance")
	for _, s := range e.set.Stacks {
		for _, r := range s.Template.Resources {
			if r.Type == "AWS::AutoScaling::AutoScalingGroup" {
				var most int
				if _, err := fmt.Sscan(fmt.Sprint(r.Properties["MaxSize"]), &most); err == nil {
					n += most
				}
			}
		}
	}
	return n
}

func (e *exam) roomForDatabases(ctx context.Context) (verdict, error) {
	needed := e.count("AWS::RDS::DBInstance")
	if needed == 0 {
		return verdict{}, nil
	}
	used := 0
	more := func(in *rds.DescribeDBInstancesInput, out *rds.DescribeDBInstancesOutput) bool {
		return client.Next(&in.Marker, out.Marker)
	}
	for page, err := range client.Pages(ctx, rds.NewFromConfig(e.cloud).DescribeDBInstances, &rds.DescribeDBInstancesInput{}, more) {
		if err != nil {
			return verdict{}, err
		}
		for _, d := range page.DBInstances {
			own := false
			for _, tag := range d.TagList {
				own = own || aws.ToString(tag.Key) == stack.DeploymentTag && aws.ToString(tag.Value) == e.wanted.Name
			}
			if !own {
				used++
			}
		}
	}
	return e.room(ctx, databaseQuota, used, needed)
}

// mostTagged is how many load balancers DescribeTags takes at once.
const mostTagged = 20

func (e *exam) roomForBalancers(ctx context.Context) (verdict, error) {
	needed := e.count("AWS::ElasticLoadBalancingV2::LoadBalancer")
	if needed == 0 {
		return verdict{}, nil
	}
	balancers := elb.NewFromConfig(e.cloud)
	used := 0
	more := func(in *elb.DescribeLoadBalancersInput, out *elb.DescribeLoadBalancersOutput) bool {
		return client.Next(&in.Marker, out.NextMarker)
	}
	for page, err := range client.Pages(ctx, balancers.DescribeLoadBalancers, &elb.DescribeLoadBalancersInput{PageSize: aws.Int32(mostTagged)}, more) {
		if err != nil {
			return verdict{}, err
		}
		var names []string
		for _, b := range page.LoadBalancers {
			if b.Type == elbtypes.LoadBalancerTypeEnumApplication {
				names = append(names, aws.ToString(b.LoadBalancerArn))
			}
		}
		if len(names) == 0 {
			continue
		}
		used += len(names)
		tagged, err := balancers.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: names})
		if err != nil {
			return verdict{}, err
		}
		for _, d := range tagged.TagDescriptions {
			for _, tag := range d.Tags {
				if aws.ToString(tag.Key) == stack.DeploymentTag && aws.ToString(tag.Value) == e.wanted.Name {
					used--
				}
			}
		}
	}
	return e.room(ctx, balancerQuota, used, needed)
}
