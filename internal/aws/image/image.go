// Package image finds the machine images of Debian, which instances start
// from. An image is pinned: a newer one replaces instances, so it is the owner
// who says when.
package image

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"rocca/internal/aws/client"
)

// Owner is the account of the Debian cloud team (wiki.debian.org/Cloud/AmazonEC2Image).
const Owner = "136693071363"

// Releases of Debian that rocca sets up servers on, the newest first.
var Releases = []int{13, 12}

// Image is a machine image (AMI).
type Image struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"` // such as debian-13-arm64-20261006-2257
	Owner        string    `json:"owner"`
	Architecture string    `json:"architecture"` // as Debian names it: amd64 or arm64
	State        string    `json:"state"`        // available is the good one
	Made         time.Time `json:"made"`
	Deprecated   time.Time `json:"deprecated"` // when its owner stops to recommend it; zero: not said
}

// Debian is the release in the image's name; 0: it is none of Debian's.
func (i Image) Debian() int {
	match := debianName.FindStringSubmatch(i.Name)
	if match == nil || i.Owner != Owner {
		return 0
	}
	release, _ := strconv.Atoi(match[1]) // digits
	return release
}

var debianName = regexp.MustCompile(`^debian-([0-9]+)-(?:amd64|arm64)-`)

// Days is the age of the image.
func (i Image) Days(now time.Time) int { return int(now.Sub(i.Made).Hours() / 24) }

// ErrNone says that there is no such image in the region.
var ErrNone = errors.New("there is no such image in this region, or it is not shared with this account")

// Look describes one image. It needs the right ec2:DescribeImages.
func Look(ctx context.Context, c client.Config, id string) (Image, error) {
	found, err := describe(ctx, c, &ec2.DescribeImagesInput{ImageIds: []string{id}, IncludeDeprecated: aws.Bool(true)})
	if err == nil && len(found) == 0 {
		err = ErrNone
	}
	if err != nil {
		return Image{}, fmt.Errorf("look up the image %s in %s: %w", id, c.Region, err)
	}
	return found[0], nil
}

// Newest finds the newest image that Debian publishes of a release for an
// architecture, amd64 or arm64. It needs the right ec2:DescribeImages.
func Newest(ctx context.Context, c client.Config, release int, architecture string) (Image, error) {
	filter := func(name, value string) types.Filter { return types.Filter{Name: &name, Values: []string{value}} }
	found, err := describe(ctx, c, &ec2.DescribeImagesInput{Owners: []string{Owner}, Filters: []types.Filter{
		filter("name", fmt.Sprintf("debian-%d-%s-*", release, architecture)),
		filter("architecture", architectures[architecture]),
		filter("state", "available"),
		filter("root-device-type", "ebs"),
		filter("virtualization-type", "hvm"),
	}})
	// Who owns an image is what makes it Debian's: names are free to everybody.
	found = slices.DeleteFunc(found, func(i Image) bool { return i.Debian() != release })
	if err == nil && len(found) == 0 {
		err = ErrNone
	}
	if err != nil {
		return Image{}, fmt.Errorf("look for the newest image of Debian %d (%s) in %s: %w", release, architecture, c.Region, err)
	}
	return slices.MaxFunc(found, func(a, b Image) int { return a.Made.Compare(b.Made) }), nil
}

// architectures of Debian, as EC2 names them.
var architectures = map[string]string{"amd64": "x86_64", "arm64": "arm64"}

func describe(ctx context.Context, c client.Config, question *ec2.DescribeImagesInput) ([]Image, error) {
	answer, err := ec2.NewFromConfig(c).DescribeImages(ctx, question)
	if strings.HasPrefix(client.Code(err), "InvalidAMIID.") {
		return nil, ErrNone
	}
	if err != nil {
		return nil, client.Explain(err)
	}
	var all []Image
	for _, i := range answer.Images {
		one := Image{ID: aws.ToString(i.ImageId), Name: aws.ToString(i.Name), Owner: aws.ToString(i.OwnerId), State: string(i.State),
			Made: day(i.CreationDate), Deprecated: day(i.DeprecationTime), Architecture: string(i.Architecture)}
		for debian, theirs := range architectures {
			if theirs == one.Architecture {
				one.Architecture = debian
			}
		}
		all = append(all, one)
	}
	return all, nil
}

// day reads a moment as EC2 writes it; zero: there is none.
func day(text *string) time.Time {
	moment, _ := time.Parse(time.RFC3339, strings.TrimSpace(aws.ToString(text)))
	return moment
}
