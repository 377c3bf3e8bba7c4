package cost

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
)

// deployments are the profiles as they are by default, and what they cost.
var deployments = []struct {
	name    string
	profile settings.Profile
	kind    string
	about   float64 // US dollars a month in us-east-1
}{
	{"single", settings.Single, "", 30},
	{"single-rds", settings.Single, settings.DatabaseRDS, 46},
	{"standard", settings.Standard, "", 168},
	{"scale", settings.Scale, "", 716},
}

// monthlyBill counts a profile as it is by default, with light use.
func monthlyBill(t *testing.T, profile settings.Profile, kind, region string) Bill {
	t.Helper()
	wanted := settings.Defaults(profile, kind, region)
	wanted.Name, wanted.Domain, wanted.Email, wanted.Zone = "stats", "stats.example.org", "owner@example.org", "Z0123456789ABCDEFGHIJ"
	wanted.Instance.Image = "ami-0123456789abcdef0"
	rendered, err := stack.Render(wanted, stack.Known{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Of(rendered, LightUsage(profile))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestProfiles renders each profile as it is by default and compares its bill
// with the golden one. A new type of resource without a price fails here.
func TestProfiles(t *testing.T) {
	for _, c := range deployments {
		t.Run(c.name, func(t *testing.T) {
			b := monthlyBill(t, c.profile, c.kind, "us-east-1")
			if len(b.Unknown) > 0 {
				t.Errorf("neither priced nor free (resources.go): %v", b.Unknown)
			}
			if len(b.Missing) > 0 {
				t.Errorf("not in prices.json: %v", b.Missing)
			}
			for _, w := range b.Waste {
				t.Errorf("the deployment wastes money: %+v", w)
			}
			if math.Abs(b.Total-c.about) > c.about/10 {
				t.Errorf("$%v a month, not about $%v", b.Total, c.about)
			}
			golden(t, fmt.Sprintf("%s.json", c.name), b)
		})
	}
}

// TestPage holds docs/aws-cost.md to what is counted.
func TestPage(t *testing.T) {
	const page = "../../../docs/aws-cost.md"
	var text strings.Builder
	text.WriteString("# What a Matomo on AWS costs\n\n<!-- Generated from internal/aws/cost: go test ./internal/aws/cost -update -->\n\n" +
		"Each profile as it is by default, in US dollars a month, with light use (see each). `rocca aws cost` counts your own settings.\n" +
		"`~` marks estimates: of a price, or of an amount. Prices away from us-east-1 follow the level of the region.\n\n| | us-east-1 | eu-central-1 |\n|---|---:|---:|\n")
	for _, c := range deployments {
		fmt.Fprintf(&text, "| %s | %.0f | %.0f |\n", c.name, monthlyBill(t, c.profile, c.kind, "us-east-1").Total, monthlyBill(t, c.profile, c.kind, "eu-central-1").Total)
	}
	for _, c := range deployments {
		b := monthlyBill(t, c.profile, c.kind, "us-east-1")
		fmt.Fprintf(&text, "\n## %s, us-east-1\n\n%.0f requests, %v GB to the internet, %v GB of logs.\n\n| $ | what | basis | price of |\n|---:|---|---|---|\n",
			c.name, b.Usage.Requests, b.Usage.OutGB, b.Usage.LogGB)
		for _, l := range b.Lines {
			mark := ""
			if l.Estimate {
				mark = "~"
			}
			fmt.Fprintf(&text, "| %.2f | %s | %s | %s%s |\n", l.Month, l.What, l.Basis, mark, l.AsOf)
		}
		fmt.Fprintf(&text, "| **%.2f** | **in all** | | |\n", b.Total)
	}
	text.WriteString("\n## Not counted\n\n")
	for _, left := range monthlyBill(t, settings.Standard, "", "us-east-1").NotCounted {
		fmt.Fprintf(&text, "- %s\n", left)
	}
	if *update {
		if err := os.WriteFile(page, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(text.String(), string(written)); diff != "" {
		t.Errorf("docs/aws-cost.md is not what is counted; -update writes it\n%s", diff)
	}
}
