package account

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"rocca/internal/aws/client"
)

// compute are the defaults of new volumes, snapshots, images and instances.
func compute(c client.Config) []Setting {
	asks := ec2.NewFromConfig(c)
	undo := func(command string) []string { return []string{"aws ec2 " + command + " --region " + c.Region} }
	return []Setting{
		{
			Name: "EBS encryption by default",
			Why:  "a volume that somebody makes by hand is encrypted, too",
			Read: func(ctx context.Context) (State, error) {
				answer, err := asks.GetEbsEncryptionByDefault(ctx, &ec2.GetEbsEncryptionByDefaultInput{})
				if err != nil {
					return State{}, err
				}
				if !aws.ToBool(answer.EbsEncryptionByDefault) {
					return State{Is: "off", Undo: undo("disable-ebs-encryption-by-default")}, nil
				}
				// Which key is the owner's choice: volumes of rocca name their own.
				key, err := asks.GetEbsDefaultKmsKeyId(ctx, &ec2.GetEbsDefaultKmsKeyIdInput{})
				if err != nil {
					return State{}, err
				}
				return State{Good: true, Is: "on, with " + aws.ToString(key.KmsKeyId)}, nil
			},
			Set: func(ctx context.Context) error {
				_, err := asks.EnableEbsEncryptionByDefault(ctx, &ec2.EnableEbsEncryptionByDefaultInput{})
				return err
			},
		},
		{
			Name: "no public snapshots",
			Why:  "nobody shares a disk with the world by one wrong click",
			Read: func(ctx context.Context) (State, error) {
				answer, err := asks.GetSnapshotBlockPublicAccessState(ctx, &ec2.GetSnapshotBlockPublicAccessStateInput{})
				if err != nil {
					return State{}, err
				}
				state := State{Is: string(answer.State), Good: answer.State == types.SnapshotBlockPublicAccessStateBlockAllSharing}
				switch {
				case answer.ManagedBy == types.ManagedByDeclarativePolicy:
					state.Left = "a declarative policy of the organization decides"
				case answer.State == types.SnapshotBlockPublicAccessStateBlockNewSharing:
					state.Undo = undo("enable-snapshot-block-public-access --state block-new-sharing")
				default:
					state.Undo = undo("disable-snapshot-block-public-access")
				}
				return state, nil
			},
			Set: func(ctx context.Context) error {
				_, err := asks.EnableSnapshotBlockPublicAccess(ctx, &ec2.EnableSnapshotBlockPublicAccessInput{State: types.SnapshotBlockPublicAccessStateBlockAllSharing})
				return err
			},
		},
		{
			Name: "no public images",
			Why:  "the same for machine images; those that are public already stay so",
			Read: func(ctx context.Context) (State, error) {
				answer, err := asks.GetImageBlockPublicAccessState(ctx, &ec2.GetImageBlockPublicAccessStateInput{})
				if err != nil {
					return State{}, err
				}
				is := aws.ToString(answer.ImageBlockPublicAccessState)
				state := State{Is: is, Good: is == string(types.ImageBlockPublicAccessEnabledStateBlockNewSharing), Undo: undo("disable-image-block-public-access")}
				if answer.ManagedBy == types.ManagedByDeclarativePolicy {
					state.Left = "a declarative policy of the organization decides"
				}
				return state, nil
			},
			Set: func(ctx context.Context) error {
				_, err := asks.EnableImageBlockPublicAccess(ctx, &ec2.EnableImageBlockPublicAccessInput{ImageBlockPublicAccessState: types.ImageBlockPublicAccessEnabledStateBlockNewSharing})
				return err
			},
		},
		{
			Name: "IMDSv2 by default",
			Why:  "a request that an application is tricked into cannot fetch the credentials of its instance",
			Read: func(ctx context.Context) (State, error) {
				answer, err := asks.GetInstanceMetadataDefaults(ctx, &ec2.GetInstanceMetadataDefaultsInput{})
				if err != nil {
					return State{}, err
				}
				// An account that never chose has no level of its own.
				level := answer.AccountLevel
				if level == nil {
					level = &types.InstanceMetadataDefaultsResponse{}
				}
				is := level.HttpTokens
				state := State{Is: "tokens " + string(is), Good: is == types.HttpTokensStateRequired, Undo: undo("modify-instance-metadata-defaults --http-tokens no-preference")}
				switch {
				case level.ManagedBy == types.ManagedByDeclarativePolicy:
					state.Left = "a declarative policy of the organization decides"
				case is == "":
					state.Is = "no preference"
				case is == types.HttpTokensStateOptional:
					state.Undo = undo("modify-instance-metadata-defaults --http-tokens optional")
				}
				return state, nil
			},
			Set: func(ctx context.Context) error {
				_, err := asks.ModifyInstanceMetadataDefaults(ctx, &ec2.ModifyInstanceMetadataDefaultsInput{HttpTokens: types.MetadataDefaultHttpTokensStateRequired})
				return err
			},
		},
	}
}

// buckets is the block of public access of all buckets of the account.
func buckets(c client.Config, w Wanted) Setting {
	return Setting{
		Name: "no public buckets",
		Why:  "no bucket, of whomever in this account, can be opened to the world",
		Read: func(ctx context.Context) (State, error) {
			is, err := readBlock(ctx, c, w.Account)
			if client.Refused(err, "NoSuchPublicAccessBlockConfiguration") {
				return State{Is: "not set", Undo: []string{"aws s3control delete-public-access-block --account-id " + w.Account}}, nil
			}
			if err != nil {
				return State{}, err
			}
			parts := []struct {
				name string
				on   bool
			}{{"BlockPublicAcls", is.BlockPublicAcls}, {"IgnorePublicAcls", is.IgnorePublicAcls}, {"BlockPublicPolicy", is.BlockPublicPolicy}, {"RestrictPublicBuckets", is.RestrictPublicBuckets}}
			var off, was []string
			for _, p := range parts {
				was = append(was, fmt.Sprintf("%s=%t", p.name, p.on))
				if !p.on {
					off = append(off, p.name)
				}
			}
			if len(off) == 0 {
				return State{Good: true, Is: "all four parts are on"}, nil
			}
			return State{
				Is:   "off: " + strings.Join(off, ", "),
				Undo: []string{"aws s3control put-public-access-block --account-id " + w.Account + " --public-access-block-configuration " + strings.Join(was, ",")},
			}, nil
		},
		Set: func(ctx context.Context) error {
			return writeBlock(ctx, c, w.Account, block{BlockPublicAcls: true, IgnorePublicAcls: true, BlockPublicPolicy: true, RestrictPublicBuckets: true})
		},
	}
}

// network is the block of public access of networks. It would cut off the very
// load balancer that visitors use, so it is only looked at.
func network(c client.Config) Setting {
	asks := ec2.NewFromConfig(c)
	return Setting{
		Name: "public access of networks",
		Why:  "tells whether a block would cut off visitors",
		Read: func(ctx context.Context) (State, error) {
			answer, err := asks.DescribeVpcBlockPublicAccessOptions(ctx, &ec2.DescribeVpcBlockPublicAccessOptionsInput{})
			if err != nil {
				return State{}, err
			}
			options := answer.VpcBlockPublicAccessOptions
			if options == nil || options.InternetGatewayBlockMode == types.InternetGatewayBlockModeOff {
				return State{Good: true, Is: "not blocked: visitors reach this server"}, nil
			}
			return State{
				Is:   "blocked: " + string(options.InternetGatewayBlockMode),
				Left: "visitors cannot reach a server in this region; exclude its network (aws ec2 create-vpc-block-public-access-exclusion)",
			}, nil
		},
	}
}

// defaultGroups empties the default security groups of the deployment's
// network. CloudFormation cannot: it did not make them.
func defaultGroups(c client.Config, w Wanted) Setting {
	asks := ec2.NewFromConfig(c)
	groups := func(ctx context.Context) ([]types.SecurityGroup, error) {
		networks, err := asks.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: []types.Filter{filter("tag:rocca:deployment", w.Deployment)}})
		if err != nil || len(networks.Vpcs) == 0 {
			return nil, err
		}
		var ids []string
		for _, n := range networks.Vpcs {
			ids = append(ids, aws.ToString(n.VpcId))
		}
		answer, err := asks.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("vpc-id", ids...), filter("group-name", "default")}})
		if err != nil {
			return nil, err
		}
		return answer.SecurityGroups, nil
	}
	return Setting{
		Name: "empty default security group",
		Why:  "what is started in this network without a thought about groups reaches nothing and is reached by nobody",
		Read: func(ctx context.Context) (State, error) {
			found, err := groups(ctx)
			if err != nil {
				return State{}, err
			}
			if len(found) == 0 {
				return State{Is: "no network of " + w.Deployment + " yet", Left: "after rocca aws deploy, run this again"}, nil
			}
			state := State{Good: true, Is: "no rules"}
			for _, g := range found {
				if len(g.IpPermissions)+len(g.IpPermissionsEgress) == 0 {
					continue
				}
				state.Good, state.Is = false, fmt.Sprintf("%s has %d rules in, %d out", aws.ToString(g.GroupId), len(g.IpPermissions), len(g.IpPermissionsEgress))
				for _, side := range []struct {
					name  string
					rules []types.IpPermission
				}{{"ingress", g.IpPermissions}, {"egress", g.IpPermissionsEgress}} {
					if len(side.rules) > 0 {
						state.Undo = append(state.Undo, fmt.Sprintf("aws ec2 authorize-security-group-%s --region %s --group-id %s --ip-permissions '%s'", side.name, c.Region, aws.ToString(g.GroupId), permissions(side.rules)))
					}
				}
			}
			return state, nil
		},
		Set: func(ctx context.Context) error {
			found, err := groups(ctx)
			if err != nil {
				return err
			}
			for _, g := range found {
				if len(g.IpPermissions) > 0 {
					if _, err := asks.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: g.GroupId, IpPermissions: g.IpPermissions}); err != nil {
						return err
					}
				}
				if len(g.IpPermissionsEgress) > 0 {
					if _, err := asks.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: g.GroupId, IpPermissions: g.IpPermissionsEgress}); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
}

// permissions writes rules as the AWS CLI reads them, which takes no empty lists.
func permissions(rules []types.IpPermission) string {
	var list []map[string]any
	for _, r := range rules {
		rule := map[string]any{"IpProtocol": aws.ToString(r.IpProtocol)}
		if r.FromPort != nil {
			rule["FromPort"], rule["ToPort"] = *r.FromPort, aws.ToInt32(r.ToPort)
		}
		var v4, v6, groups, lists []map[string]string
		for _, n := range r.IpRanges {
			v4 = append(v4, map[string]string{"CidrIp": aws.ToString(n.CidrIp)})
		}
		for _, n := range r.Ipv6Ranges {
			v6 = append(v6, map[string]string{"CidrIpv6": aws.ToString(n.CidrIpv6)})
		}
		for _, g := range r.UserIdGroupPairs {
			groups = append(groups, map[string]string{"GroupId": aws.ToString(g.GroupId)})
		}
		for _, l := range r.PrefixListIds {
			lists = append(lists, map[string]string{"PrefixListId": aws.ToString(l.PrefixListId)})
		}
		for name, values := range map[string][]map[string]string{"IpRanges": v4, "Ipv6Ranges": v6, "UserIdGroupPairs": groups, "PrefixListIds": lists} {
			if len(values) > 0 {
				rule[name] = values
			}
		}
		list = append(list, rule)
	}
	text, _ := json.Marshal(list) // maps of strings and numbers always can be
	return string(text)
}

func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: &name, Values: values}
}
