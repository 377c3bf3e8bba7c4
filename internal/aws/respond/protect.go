package respond

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	balancer "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"rocca/internal/aws/client"
	"rocca/internal/aws/fleet"
	"rocca/internal/aws/stack"
)

// protect keeps the instance and its disks from being deleted. Each of these
// calls may be made again.
func (r *Response) protect(_ context.Context, b Before) ([]call, error) {
	id := &b.Instance
	calls := []call{
		of("ec2:ModifyInstanceAttribute", r.ec2.ModifyInstanceAttribute, &ec2.ModifyInstanceAttributeInput{InstanceId: id, DisableApiTermination: &types.AttributeBooleanValue{Value: aws.Bool(true)}}),
		of("ec2:ModifyInstanceAttribute", r.ec2.ModifyInstanceAttribute, &ec2.ModifyInstanceAttributeInput{InstanceId: id, InstanceInitiatedShutdownBehavior: &types.AttributeValue{Value: aws.String("stop")}}),
	}
	if b.Protected != nil && *b.Protected {
		calls = calls[1:]
	}
	for _, v := range b.Volumes {
		if v.Deleted {
			calls = append(calls, r.keepVolume(b.Instance, v.Device, false))
		}
	}
	if b.Group != nil && !b.Group.Protected {
		calls = append(calls, r.fromScaleIn(b, true))
	}
	return append(calls, r.tag(b)), nil
}

func (r *Response) keepVolume(instance, device string, deleted bool) call {
	return of("ec2:ModifyInstanceAttribute", r.ec2.ModifyInstanceAttribute, &ec2.ModifyInstanceAttributeInput{InstanceId: &instance, BlockDeviceMappings: []types.InstanceBlockDeviceMappingSpecification{
		{DeviceName: &device, Ebs: &types.EbsInstanceBlockDeviceSpecification{DeleteOnTermination: &deleted}},
	}})
}

// fromScaleIn decides whether an auto-scaling group that shrinks may choose it.
func (r *Response) fromScaleIn(b Before, protected bool) call {
	form := client.Form{"AutoScalingGroupName": b.Group.Name, "InstanceIds.member.1": b.Instance, "ProtectedFromScaleIn": fmt.Sprint(protected)}
	return call{action: "autoscaling:SetInstanceProtection", input: form, send: func(ctx context.Context) error {
		return client.AskQuery(ctx, r.cloud, "autoscaling:SetInstanceProtection", form, nil)
	}}
}

// tags are those of what is made for the case.
func (r *Response) tags() []types.Tag {
	return []types.Tag{{Key: aws.String(fleet.CaseTag), Value: aws.String(r.id)}, {Key: aws.String(stack.DeploymentTag), Value: aws.String(r.prepared.Deployment)}}
}

// tag marks the instance and its disks with the case.
func (r *Response) tag(b Before) call {
	return of("ec2:CreateTags", r.ec2.CreateTags, &ec2.CreateTagsInput{Resources: marked(b), Tags: []types.Tag{{Key: aws.String(fleet.CaseTag), Value: aws.String(r.id)}}})
}

func marked(b Before) []string {
	ids := []string{b.Instance}
	for _, v := range b.Volumes {
		ids = append(ids, v.ID)
	}
	return ids
}

// service takes the instance out of service, so that a clean one serves.
func (r *Response) service(ctx context.Context, b Before) ([]call, error) {
	var calls []call
	var unseen []string
	group, err := r.group(ctx)
	if err != nil {
		unseen, group = append(unseen, err.Error()), b.Group
	}
	if group != nil {
		if !slices.Contains(group.Suspended, replaceUnhealthy) {
			form := client.Form{"AutoScalingGroupName": group.Name, "ScalingProcesses.member.1": replaceUnhealthy}
			calls = append(calls, call{action: "autoscaling:SuspendProcesses", input: form, send: func(ctx context.Context) error {
				return client.AskQuery(ctx, r.cloud, "autoscaling:SuspendProcesses", form, nil)
			}})
		}
		switch {
		case group.State == "InService":
			form := client.Form{"AutoScalingGroupName": group.Name, "InstanceIds.member.1": b.Instance, "ShouldDecrementDesiredCapacity": "false"}
			calls = append(calls, call{action: "autoscaling:EnterStandby", input: form, send: func(ctx context.Context) error {
				return client.AskQuery(ctx, r.cloud, "autoscaling:EnterStandby", form, nil)
			}})
		case strings.HasPrefix(group.State, "Terminating"):
			unseen = append(unseen, fmt.Sprintf("the auto-scaling group %s is ending %s already; its disks stay, as protect has set", group.Name, b.Instance))
		}
	}
	targets, err := r.targets(ctx, b.VPC)
	if err != nil {
		unseen, targets = append(unseen, err.Error()), b.Targets
	}
	for _, t := range targets {
		calls = append(calls, of("elasticloadbalancing:DeregisterTargets", r.elb.DeregisterTargets, &elasticloadbalancingv2.DeregisterTargetsInput{
			TargetGroupArn: &t.Group, Targets: []balancer.TargetDescription{{Id: &b.Instance, Port: &t.Port}},
		}))
	}
	if len(unseen) > 0 {
		return calls, fmt.Errorf("take %s out of service: %s", b.Instance, strings.Join(unseen, "; "))
	}
	return calls, nil
}

// replaceUnhealthy is the process by which a group ends instances that do not
// answer: one that was cut off would be the next.
const replaceUnhealthy = "ReplaceUnhealthy"
