package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"rocca/internal/aws/client"
	"rocca/internal/aws/cost"
	"rocca/internal/aws/cost/online"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
)

func newAWSCostCommand() *cobra.Command {
	var flags awsFlags
	var size, compare, region string
	var ask, asJSON bool
	var requests, outGB, logGB float64
	cmd := &cobra.Command{
		Use:   "cost",
		Short: "Tell what a deployment costs in a month, line by line",
		Long: `Tell what a deployment costs in a month, before it exists: each line with its
basis and the date of its price, what is not counted, and what is wasted. The
prices come with rocca; nobody is asked. "~" marks estimates: of a price, or of
an amount that templates do not say.

With --size it is one of the profiles with its defaults, and needs no file.
With --compare it is set against another profile, or another file. --online asks
AWS for today's prices of machines, disks, networks and load balancers (it needs
credentials, and pricing:GetProducts).

Exit status: 0 counted, 2 the settings are wrong, 3 something has no price.`,
		Example: "  rocca aws cost --size single --region eu-central-1\n  rocca aws cost --compare scale\n  rocca aws cost --requests 20e6 --gb-out 300 --online",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted, err := flags.estimated(size, region)
			if err != nil {
				return err
			}
			usage := func(profile settings.Profile) cost.Usage {
				u := cost.LightUsage(profile)
				for name, value := range map[string]struct{ from, to *float64 }{"requests": {&requests, &u.Requests}, "gb-out": {&outGB, &u.OutGB}, "log-gb": {&logGB, &u.LogGB}} {
					if cmd.Flags().Changed(name) {
						*value.to = *value.from
					}
				}
				return u
			}
			report := costReport{}
			count := func(wanted settings.Settings) (cost.Bill, error) {
				if ask {
					bill, kept, err := billOnline(cmd.Context(), flags.profile, wanted, usage(wanted.Profile))
					report.Kept = append(report.Kept, kept...)
					return bill, err
				}
				rendered, err := renderEstimate(wanted)
				if err != nil {
					return cost.Bill{}, err
				}
				return cost.Of(rendered, usage(wanted.Profile))
			}
			if report.Bill, err = count(wanted); err != nil {
				return err
			}
			if compare != "" {
				other, err := flags.other(wanted, compare)
				if err != nil {
					return err
				}
				with, err := count(other)
				if err != nil {
					return err
				}
				report.Compared, report.Changes = &with, cost.Compare(report.Bill, with)
			}
			return report.tell(cmd.OutOrStdout(), asJSON)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&size, "size", "", "a profile with its defaults instead of the file: single, standard or scale")
	cmd.Flags().StringVar(&compare, "compare", "", "another profile, or another file, to set against it")
	cmd.Flags().StringVar(&region, "region", "", "another region, such as eu-west-1")
	cmd.Flags().BoolVar(&ask, "online", false, "ask AWS for today's prices")
	cmd.Flags().Float64Var(&requests, "requests", 1e6, "requests in a month")
	cmd.Flags().Float64Var(&outGB, "gb-out", 10, "GB that go to the internet in a month")
	cmd.Flags().Float64Var(&logGB, "log-gb", 0, "GB of logs in a month (default: by the profile)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// profiles by their names.
var profiles = []settings.Profile{settings.Single, settings.Standard, settings.Scale}

// estimated are the settings to be counted: those of the file, or a profile as
// it is by default.
func (f *awsFlags) estimated(size, region string) (settings.Settings, error) {
	if size == "" {
		wanted, err := f.wanted()
		if err != nil {
			return settings.Settings{}, fmt.Errorf("%w\nhint: --size single, standard or scale counts without a file", err)
		}
		if region != "" {
			return moved(wanted, region), nil
		}
		return wanted, nil
	}
	if region == "" {
		region = "eu-central-1"
		if wanted, err := f.wanted(); err == nil {
			region = wanted.Region
		}
	}
	return sized(size, region)
}

// moved are the same settings in another region.
func moved(wanted settings.Settings, region string) settings.Settings {
	wanted.Region = region
	zones := settings.Defaults(wanted.Profile, "", region).Network.Zones
	for i := len(zones); i < len(wanted.Network.Zones); i++ {
		zones = append(zones, region+string(rune('a'+i)))
	}
	wanted.Network.Zones = zones
	return wanted
}

// sized is a profile with its defaults, for a site that stands for any.
func sized(size, region string) (settings.Settings, error) {
	profile := settings.Profile(size)
	if !slices.Contains(profiles, profile) {
		return settings.Settings{}, fmt.Errorf("count the profile %q: there are single, standard and scale", size)
	}
	wanted := settings.Defaults(profile, "", region)
	wanted.Domain, wanted.Email, wanted.Zone = "stats.example.org", "owner@example.org", "Z00000000000000000000"
	return wanted, nil
}

// other is what the settings are compared with.
func (f *awsFlags) other(with settings.Settings, what string) (settings.Settings, error) {
	if slices.Contains(profiles, settings.Profile(what)) {
		return sized(what, with.Region)
	}
	file := awsFlags{config: what, world: f.world}
	return file.wanted()
}

// renderEstimate renders also what has no image yet: that costs nothing.
func renderEstimate(wanted settings.Settings) (stack.Set, error) {
	if wanted.Instance.Image == "" {
		wanted.Instance.Image = "ami-00000000000000000"
	}
	return stack.Render(wanted, stack.Known{})
}

// billOnline makes the bill with the prices of today, where AWS tells them.
func billOnline(ctx context.Context, profile string, wanted settings.Settings, usage cost.Usage) (cost.Bill, []online.Kept, error) {
	rendered, err := renderEstimate(wanted)
	if err != nil {
		return cost.Bill{}, nil, err
	}
	prices, err := cost.ListPrices(wanted.Region)
	if err != nil {
		return cost.Bill{}, nil, err
	}
	cloud, err := client.Load(ctx, client.Options{Profile: profile, Region: wanted.Region})
	if err != nil {
		return cost.Bill{}, nil, err
	}
	bill := prices.Bill(rendered, usage)
	prices, kept, err := online.Refresh(ctx, cloud, prices, bill.Keys())
	if err != nil {
		return cost.Bill{}, nil, err
	}
	return prices.Bill(rendered, usage), kept, nil
}

// costReport is what the verb tells.
type costReport struct {
	Bill     cost.Bill     `json:"bill"`
	Compared *cost.Bill    `json:"compared,omitempty"`
	Changes  []cost.Change `json:"changes,omitempty"` // from Bill to Compared
	Kept     []online.Kept `json:"kept,omitempty"`    // what AWS was asked for without an answer of use
}

func (r costReport) tell(w io.Writer, asJSON bool) error {
	var out bytes.Buffer
	if asJSON {
		encoder := json.NewEncoder(&out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(r); err != nil {
			return err
		}
	} else {
		r.table(&out)
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return err
	}
	if len(r.Bill.Missing)+len(r.Bill.Unknown) > 0 {
		return &exitError{code: exitUnseen}
	}
	return nil
}

// table writes the report for people, into memory.
func (r costReport) table(out *bytes.Buffer) {
	showBill(out, r.Bill)
	for _, k := range r.Kept {
		fmt.Fprintf(out, "price of %s: as it came with rocca (%s)\n", k.Key, k.Why)
	}
	if r.Compared == nil {
		return
	}
	fmt.Fprintf(out, "\ncompared with %s in %s: $%.2f a month, %s\n\n", r.Compared.Profile, r.Compared.Region, r.Compared.Total, dollars(r.Compared.Total-r.Bill.Total))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, c := range r.Changes {
		fmt.Fprintf(table, "%s\t%.2f ->\t%.2f\t  %s\n", dollars(c.After-c.Before), c.Before, c.After, c.What)
	}
	_ = table.Flush() // into memory
}

func dollars(difference float64) string {
	if difference < 0 {
		return fmt.Sprintf("-$%.2f", -difference)
	}
	return fmt.Sprintf("+$%.2f", difference)
}

func showBill(out *bytes.Buffer, bill cost.Bill) {
	fmt.Fprintf(out, "%s (%s) in %s: about $%.2f a month\n", bill.Name, bill.Profile, bill.Region, bill.Total)
	sums := map[string]float64{}
	what, basis := 0, 0 // widths
	for _, line := range bill.Lines {
		sums[line.Stack] += line.Month
		what, basis = max(what, utf8.RuneCountInString(line.What)), max(basis, utf8.RuneCountInString(line.Basis))
	}
	above := ""
	for _, line := range bill.Lines {
		if line.Stack != above {
			above = line.Stack
			fmt.Fprintf(out, "\n%9.2f  %s\n", sums[above], strings.ToUpper(above))
		}
		mark := " "
		if line.Estimate {
			mark = "~"
		}
		fmt.Fprintf(out, "%9.2f  %-*s  %-*s  %s%s\n", line.Month, what, line.What, basis, line.Basis, mark, line.AsOf)
	}
	fmt.Fprintln(out, "\n~ an estimate: of the price, which is of that date, or of the amount")
	fmt.Fprintf(out, "assumed: %.0f requests, %g GB to the internet, %g GB of logs in a month (--requests, --gb-out, --log-gb)\n", bill.Usage.Requests, bill.Usage.OutGB, bill.Usage.LogGB)
	if len(bill.Waste) > 0 {
		fmt.Fprintln(out, "\nwasted")
	}
	for _, w := range bill.Waste {
		fmt.Fprintf(out, "%9.2f  %s: %s\n           %s\n", w.Month, w.What, w.Why, w.Fix)
	}
	list := func(title string, names []string) {
		if len(names) > 0 {
			fmt.Fprintf(out, "\n%s\n  %s\n", title, strings.Join(names, "\n  "))
		}
	}
	list("without a price, so the sum is too low (--online asks AWS)", bill.Missing)
	list("cannot be counted, so the sum is too low", bill.Unknown)
	list("not counted", bill.NotCounted)
}
