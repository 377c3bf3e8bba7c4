// Package shell opens a shell on an instance, with no key that stays
// anywhere: by Session Manager, or by a key that EC2 Instance Connect lets in
// for a minute, through an endpoint in the network of the deployment.
package shell

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"rocca/internal/aws/client"
	"rocca/internal/aws/stack"
)

// Instance is a server of a deployment that runs.
type Instance struct {
	ID      string    `json:"id"`
	Role    string    `json:"role"`             // tag rocca:role
	Zone    string    `json:"zone"`             // availability zone
	Address string    `json:"address"`          // private
	Public  string    `json:"public,omitempty"` // empty behind a load balancer
	VPC     string    `json:"vpc"`              //
	Type    string    `json:"type"`             // such as t4g.small
	Image   string    `json:"image"`            // AMI
	Since   time.Time `json:"since"`            //
}

// Instances lists the running servers of a deployment, the oldest first.
func Instances(ctx context.Context, c client.Config, deployment string) ([]Instance, error) {
	question := &ec2.DescribeInstancesInput{Filters: []types.Filter{
		{Name: aws.String("tag:" + stack.DeploymentTag), Values: []string{deployment}},
		{Name: aws.String("instance-state-name"), Values: []string{"running"}},
	}}
	more := func(in *ec2.DescribeInstancesInput, out *ec2.DescribeInstancesOutput) bool {
		return client.Next(&in.NextToken, out.NextToken)
	}
	var all []Instance
	for page, err := range client.Pages(ctx, ec2.NewFromConfig(c).DescribeInstances, question, more) {
		if err != nil {
			return nil, fmt.Errorf("list the instances of %s: %w", deployment, client.Explain(err))
		}
		for _, reservation := range page.Reservations {
			for _, i := range reservation.Instances {
				all = append(all, describe(i))
			}
		}
	}
	slices.SortFunc(all, func(a, b Instance) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

func describe(i types.Instance) Instance {
	described := Instance{
		ID: aws.ToString(i.InstanceId), Address: aws.ToString(i.PrivateIpAddress), Public: aws.ToString(i.PublicIpAddress),
		VPC: aws.ToString(i.VpcId), Type: string(i.InstanceType), Image: aws.ToString(i.ImageId), Since: aws.ToTime(i.LaunchTime).UTC(),
	}
	if i.Placement != nil {
		described.Zone = aws.ToString(i.Placement.AvailabilityZone)
	}
	for _, tag := range i.Tags {
		if aws.ToString(tag.Key) == "rocca:role" {
			described.Role = aws.ToString(tag.Value)
		}
	}
	return described
}

// Pick finds the instance that is meant: the named one, or the only one.
func Pick(all []Instance, id string) (Instance, error) {
	if len(all) == 0 {
		return Instance{}, errors.New("find the instance: none of the deployment is running\nhint: rocca aws info")
	}
	if id == "" && len(all) == 1 {
		return all[0], nil
	}
	known := ""
	for _, i := range all {
		if i.ID == id {
			return i, nil
		}
		known += "\n  " + i.ID + " " + i.Role
	}
	if id == "" {
		return Instance{}, fmt.Errorf("find the instance: there are %d:%s\nhint: --instance names one", len(all), known)
	}
	return Instance{}, fmt.Errorf("find the instance: %s is none of this deployment that runs:%s", id, known)
}
