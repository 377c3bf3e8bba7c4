package image

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"rocca/internal/aws/awstest"
)

// shelf answers DescribeImages from a few images, by owner, id and name.
func shelf(t *testing.T, cloud *awstest.Cloud, images ...Image) {
	t.Helper()
	cloud.Answer("ec2", "DescribeImages", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		filters := map[string]string{}
		for n := 1; r.Form.Has(fmt.Sprintf("Filter.%d.Name", n)); n++ {
			filters[r.Form.Get(fmt.Sprintf("Filter.%d.Name", n))] = r.Form.Get(fmt.Sprintf("Filter.%d.Value.1", n))
		}
		fmt.Fprint(w, `<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><imagesSet>`)
		found := 0
		for _, i := range images {
			switch id, owner := r.Form.Get("ImageId.1"), r.Form.Get("Owner.1"); {
			case id != "" && id != i.ID, owner != "" && owner != i.Owner,
				filters["name"] != "" && !strings.HasPrefix(i.Name, strings.TrimSuffix(filters["name"], "*")),
				filters["architecture"] != "" && filters["architecture"] != i.Architecture:
				continue
			}
			found++
			fmt.Fprintf(w, `<item><imageId>%s</imageId><name>%s</name><imageOwnerId>%s</imageOwnerId><architecture>%s</architecture><imageState>%s</imageState><creationDate>%s</creationDate></item>`,
				i.ID, i.Name, i.Owner, i.Architecture, i.State, i.Made.Format(time.RFC3339))
		}
		fmt.Fprint(w, `</imagesSet></DescribeImagesResponse>`)
	})
}

func made(year, month, day int) time.Time {
	return time.Date(year, time.Month(month), day, 1, 2, 3, 0, time.UTC)
}

var images = []Image{
	{ID: "ami-0aaa", Name: "debian-13-arm64-20260801-2190", Owner: Owner, Architecture: "arm64", State: "available", Made: made(2026, 8, 1)},
	{ID: "ami-0bbb", Name: "debian-13-arm64-20261101-2282", Owner: Owner, Architecture: "arm64", State: "available", Made: made(2026, 11, 1)},
	{ID: "ami-0ccc", Name: "debian-13-amd64-20261102-2283", Owner: Owner, Architecture: "x86_64", State: "available", Made: made(2026, 11, 2)},
	{ID: "ami-0ddd", Name: "debian-12-arm64-20261030-2280", Owner: Owner, Architecture: "arm64", State: "available", Made: made(2026, 10, 30)},
	{ID: "ami-0eee", Name: "debian-13-arm64-20261120-9999", Owner: awstest.Account, Architecture: "arm64", State: "available", Made: made(2026, 11, 20)},
}

func TestNewest(t *testing.T) {
	cloud := awstest.Start(t)
	shelf(t, cloud, images...)
	for _, c := range []struct {
		release      int
		architecture string
		want         string
	}{
		{13, "arm64", "ami-0bbb"}, // not the impostor, which is newer
		{13, "amd64", "ami-0ccc"},
		{12, "arm64", "ami-0ddd"},
	} {
		got, err := Newest(t.Context(), cloud.Config(t), c.release, c.architecture)
		if err != nil || got.ID != c.want || got.Architecture != c.architecture || got.Debian() != c.release {
			t.Errorf("Debian %d, %s: %+v, %v", c.release, c.architecture, got, err)
		}
	}
	if _, err := Newest(t.Context(), cloud.Config(t), 12, "amd64"); !errors.Is(err, ErrNone) {
		t.Errorf("found what is not there: %v", err)
	}
	for _, call := range cloud.Calls() {
		if call.String() != "ec2:DescribeImages" {
			t.Errorf("called %s", call)
		}
	}
}

// TestNewestTrustsNoName asks an AWS that does not filter: the owner counts.
func TestNewestTrustsNoName(t *testing.T) {
	cloud := awstest.Start(t)
	cloud.Answer("ec2", "DescribeImages", awstest.Say(http.StatusOK, `<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><imagesSet>
		<item><imageId>ami-0eee</imageId><name>debian-13-arm64-20261120-9999</name><imageOwnerId>123456789012</imageOwnerId><architecture>arm64</architecture><creationDate>2026-11-20T00:00:00.000Z</creationDate></item>
		</imagesSet></DescribeImagesResponse>`))
	if got, err := Newest(t.Context(), cloud.Config(t), 13, "arm64"); !errors.Is(err, ErrNone) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestLook(t *testing.T) {
	cloud := awstest.Start(t)
	// moto has images of its own, and answers for those that are not there.
	if _, err := Look(t.Context(), cloud.Config(t), "ami-00000000000000000"); !errors.Is(err, ErrNone) {
		t.Errorf("found what is not there: %v", err)
	}
	shelf(t, cloud, images...)
	got, err := Look(t.Context(), cloud.Config(t), "ami-0aaa")
	if err != nil || got.Name != "debian-13-arm64-20260801-2190" || got.Days(made(2026, 11, 21)) != 112 {
		t.Errorf("%+v, %v", got, err)
	}
	if foreign, err := Look(t.Context(), cloud.Config(t), "ami-0eee"); err != nil || foreign.Debian() != 0 {
		t.Errorf("somebody else's image counts as one of Debian %d (%v)", foreign.Debian(), err)
	}
	cloud.Fail("ec2", "DescribeImages", 1, 9, awstest.Denied)
	if _, err := Look(t.Context(), cloud.Config(t), "ami-0aaa"); err == nil || errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "hint:") {
		t.Errorf("got %v", err)
	}
}
