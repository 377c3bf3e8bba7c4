package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/image"
)

// onCloud runs this program in an empty directory with these settings and an
// account of moto.
func onCloud(t *testing.T, cloud *awstest.Cloud, settings string) func(args ...string) (code int, out, messages string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("rocca-aws.yaml", []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, variable := range append(cloud.Environment(), "AWS_CONFIG_FILE="+filepath.Join(t.TempDir(), "none"), "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(t.TempDir(), "none")) {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	return func(args ...string) (int, string, string) {
		var out, messages bytes.Buffer
		code := runProgram(append([]string{"aws"}, args...), strings.NewReader(""), &out, &messages)
		return code, out.String(), messages.String()
	}
}

const smallSite = `# ours
name: stats
region: eu-central-1
profile: single
domain: stats.example.org
email: owner@example.org
instance:
  type: t4g.small # small
`

func TestAWSImage(t *testing.T) {
	cloud := awstest.Start(t)
	rocca := onCloud(t, cloud, smallSite)
	cloud.Answer("ec2", "DescribeImages", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		fmt.Fprint(w, `<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><imagesSet>`)
		for _, i := range [][2]string{{"ami-0aaaaaaaaaaaaaaaa", "20250801"}, {"ami-0bbbbbbbbbbbbbbbb", "20251001"}} {
			if wanted := r.Form.Get("ImageId.1"); wanted == "" || wanted == i[0] {
				fmt.Fprintf(w, `<item><imageId>%s</imageId><name>debian-13-arm64-%s-1</name><imageOwnerId>%s</imageOwnerId><architecture>arm64</architecture><imageState>available</imageState><creationDate>%s-%s-%sT00:00:00.000Z</creationDate></item>`,
					i[0], i[1], image.Owner, i[1][:4], i[1][4:6], i[1][6:])
			}
		}
		fmt.Fprint(w, `</imagesSet></DescribeImagesResponse>`)
	})

	code, out, messages := rocca("image")
	if code != exitFindings || !strings.Contains(out, "pinned  none") || !strings.Contains(out, "newest  ami-0bbbbbbbbbbbbbbbb  debian-13-arm64-20251001-1") || !strings.Contains(out, "--pin") {
		t.Errorf("none pinned: %d\n%s%s", code, out, messages)
	}
	if code, out, messages = rocca("image", "--pin"); code != exitClean || !strings.Contains(out, "wrote it into rocca-aws.yaml\n") {
		t.Errorf("pin: %d\n%s%s", code, out, messages)
	}
	text, err := os.ReadFile("rocca-aws.yaml")
	if want := strings.Replace(smallSite, "  type:", "  image: ami-0bbbbbbbbbbbbbbbb\n  type:", 1); err != nil || string(text) != want {
		t.Errorf("%v\n%s", err, text)
	}
	if code, out, messages = rocca("image"); code != exitClean || !strings.Contains(out, "nothing to do") {
		t.Errorf("pinned: %d\n%s%s", code, out, messages)
	}
	if err := os.WriteFile("rocca-aws.yaml", bytes.ReplaceAll(text, []byte("0bbbbbbbbbbbbbbbb"), []byte("0aaaaaaaaaaaaaaaa")), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, messages = rocca("image", "--json"); code != exitFindings || !strings.Contains(out, `"current": false`) || !strings.Contains(out, `"id": "ami-0aaaaaaaaaaaaaaaa"`) {
		t.Errorf("a newer one: %d\n%s%s", code, out, messages)
	}
	if err := os.WriteFile("rocca-aws.yaml", bytes.ReplaceAll(text, []byte("0bbbbbbbbbbbbbbbb"), []byte("0cccccccccccccccc")), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, messages = rocca("image"); code != exitFindings || !strings.Contains(out, "ami-0cccccccccccccccc  is not there any more") {
		t.Errorf("one that is gone: %d\n%s%s", code, out, messages)
	}
	if code, _, messages = rocca("image", "--debian", "11"); code != exitUsage || !strings.Contains(messages, "Debian 11") {
		t.Errorf("%d\n%s", code, messages)
	}
}

func TestAWSDoctor(t *testing.T) {
	cloud := awstest.Start(t)
	rocca := onCloud(t, cloud, smallSite)
	cloud.Answer("servicequotas", "GetServiceQuota", awstest.Say(http.StatusOK, `{"Quota":{"Value":5}}`))
	code, out, messages := rocca("doctor")
	if code != exitFindings || !strings.Contains(out, "none is pinned") || !strings.Contains(out, "rocca aws image --pin") || messages != "" {
		t.Errorf("no image: %d\n%s%s", code, out, messages)
	}
	cloud.Fail("ec2", "DescribeVpcs", 1, 99, awstest.Denied)
	if code, out, _ = rocca("doctor", "--json"); code != exitFindings || !strings.Contains(out, `"status": "unknown"`) || !strings.Contains(out, "not allowed to look: EC2 DescribeVpcs") {
		t.Errorf("denied: %d\n%s", code, out)
	}
	if code, out, messages = rocca("doctor", "-c", "missing.yaml"); code != exitUsage || out != "" || !strings.Contains(messages, "missing.yaml") {
		t.Errorf("no settings: %d\n%s%s", code, out, messages)
	}
}

func TestAWSCostOnline(t *testing.T) {
	cloud := awstest.Start(t)
	rocca := onCloud(t, cloud, smallSite)
	cloud.Answer("pricing", "GetProducts", awstest.Say(http.StatusOK, `{"FormatVersion":"aws_v1","PriceList":["{\"publicationDate\":\"2026-11-20T00:00:00Z\",\"terms\":{\"OnDemand\":{\"a\":{\"priceDimensions\":{\"b\":{\"unit\":\"Hrs\",\"pricePerUnit\":{\"USD\":\"0.0200000000\"}}}}}}}"]}`))
	code, out, messages := rocca("cost", "--online")
	if code != exitClean || !strings.Contains(out, "730 h x $0.02 ") || !strings.Contains(out, " 2026-11-20") || !strings.Contains(out, "price of disk gp3: as it came with rocca (AWS has no price for it in this region)") {
		t.Errorf("%d\n%s%s", code, out, messages)
	}
	cloud.Fail("pricing", "GetProducts", 1, 99, awstest.Denied)
	if code, _, messages = rocca("cost", "--online"); code != exitUsage || !strings.Contains(messages, "hint:") {
		t.Errorf("denied: %d\n%s", code, messages)
	}
}
