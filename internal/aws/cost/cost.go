// Package cost tells what a deployment costs in a month, before it exists: it
// walks the rendered templates and looks up each thing in a dated table of
// prices. Every line says how it was counted; what is left out is listed.
package cost

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
)

// Usage is what templates do not say: how much the deployment will have to do
// in a month.
type Usage struct {
	Requests float64 `json:"requests"` // that reach it
	OutGB    float64 `json:"out_gb"`   // sent to the internet
	LogGB    float64 `json:"log_gb"`   // written to CloudWatch Logs: requests, flows, trail
}

// LightUsage is that of a small site: what the figures in the documentation
// are made with.
func LightUsage(profile settings.Profile) Usage {
	logs := map[settings.Profile]float64{settings.Single: 2, settings.Standard: 6, settings.Scale: 30}
	return Usage{Requests: 1e6, OutGB: 10, LogGB: logs[profile]}
}

// Bill is what a deployment costs in a month, in US dollars.
type Bill struct {
	Name       string   `json:"name"` // of the deployment
	Profile    string   `json:"profile"`
	Region     string   `json:"region"`
	Usage      Usage    `json:"usage"`
	Lines      []Line   `json:"lines"`
	Total      float64  `json:"total"` // sum of the lines
	Waste      []Waste  `json:"waste"`
	Missing    []string `json:"missing"`     // keys of prices that are in no table: Total is too low by them
	Unknown    []string `json:"unknown"`     // types of resources that rocca cannot count
	NotCounted []string `json:"not_counted"` // what Total leaves out by intent
}

// Line is one thing that costs money.
type Line struct {
	What     string  `json:"what"`  // in words
	Stack    string  `json:"stack"` // role of a stack, such as data; account: the account step
	Basis    string  `json:"basis"` // such as "730 h x $0.0168"
	Month    float64 `json:"month"` // US dollars
	Key      string  `json:"key"`   // of its price
	Source   string  `json:"source"`
	AsOf     string  `json:"as_of"`    // of the price
	Estimate bool    `json:"estimate"` // the price is one, or the amount was assumed
}

// Of makes the bill of a deployment with the prices that rocca brings along.
func Of(set stack.Set, usage Usage) (Bill, error) {
	prices, err := ListPrices(set.Settings.Region)
	if err != nil {
		return Bill{}, err
	}
	return prices.Bill(set, usage), nil
}

// Month is the total of a deployment with light usage.
func Month(set stack.Set) (float64, error) {
	bill, err := Of(set, LightUsage(set.Settings.Profile))
	return bill.Total, err
}

// hours of a month, as AWS's own calculator has it.
const hours = 730

// Bill makes the bill of a deployment.
func (p Prices) Bill(set stack.Set, usage Usage) Bill {
	c := counter{set: set, usage: usage, prices: p}
	for _, s := range set.Stacks {
		for _, id := range slices.Sorted(maps.Keys(s.Template.Resources)) {
			c.resource(resource{s.Template.Resources[id], s, id})
		}
	}
	c.traffic()
	c.account()
	bill := Bill{
		Name: set.Settings.Name, Profile: string(set.Settings.Profile), Region: p.region, Usage: usage,
		Lines: c.lines(), Missing: slices.Sorted(maps.Keys(c.missing)), Unknown: slices.Sorted(maps.Keys(c.unknown)),
		NotCounted: slices.Clone(notCounted), Waste: wasteOf(&c),
	}
	if !p.known {
		bill.NotCounted = append(bill.NotCounted, "the level of prices in "+p.region+", which is not known: these are those of us-east-1")
	}
	for _, line := range bill.Lines {
		bill.Total += line.Month
	}
	bill.Total = cents(bill.Total)
	return bill
}

// notCounted is what every bill leaves out.
var notCounted = []string{
	"tax, and AWS support plans",
	"the free tier and credits of new accounts, savings plans, reserved capacity",
	"traffic between availability zones, and to other regions",
	"single requests to S3, KMS, Secrets Manager and Systems Manager",
	"growth: storage beyond the first size, instances beyond the fewest, processor credits of burstable types",
	"data events of the trail, queries of logs, and e-mail",
}

// resource is one of a template.
type resource struct {
	stack.Resource
	in stack.Stack
	id string
}

// called is what people call it.
func (r resource) called() string {
	if r.Is != "" {
		return r.Is
	}
	return r.id
}

func (r resource) at(path ...string) any { return property(r.Properties, path...) }

// amount is a factor of a line: 730 h, 2 instances, 20 GB.
type amount struct {
	n    float64
	unit string // of more than one
}

func (a amount) String() string {
	unit := a.unit
	if a.n == 1 {
		unit = strings.TrimSuffix(unit, "s")
	}
	return strings.TrimSpace(decimal(a.n) + " " + unit)
}

// entry is a line that is still being counted.
type entry struct {
	what, stack string
	price       Price
	amounts     []amount
	assumed     bool
	count       int
}

type counter struct {
	set     stack.Set
	usage   Usage
	prices  Prices
	entries []entry
	missing map[string]bool // keys of prices
	unknown map[string]bool // types of resources
}

// add counts something. Where the name of a price is a plural, like things of
// a stack share a line.
func (c *counter) add(what, stack, key string, amounts ...amount) *entry {
	price, found := c.prices.Of(key)
	if !found {
		if c.missing == nil {
			c.missing = map[string]bool{}
		}
		c.missing[key] = true
		return &entry{}
	}
	for i, e := range c.entries {
		if price.Name != "" && e.stack == stack && e.price.Key == key && slices.Equal(e.amounts, amounts) {
			c.entries[i].count++
			return &c.entries[i]
		}
	}
	c.entries = append(c.entries, entry{what: what, stack: stack, price: price, amounts: amounts, count: 1})
	return &c.entries[len(c.entries)-1]
}

// assume adds what a template does not say, such as traffic.
func (c *counter) assume(what, stack, key string, amounts ...amount) {
	c.add(what, stack, key, amounts...).assumed = true
}

func (c *counter) resource(r resource) {
	if count, priced := priced[r.Type]; priced {
		count(c, r)
		return
	}
	if !slices.Contains(free, r.Type) {
		if c.unknown == nil {
			c.unknown = map[string]bool{}
		}
		c.unknown[r.Type] = true
	}
}

// lines are what was counted, stack by stack. What is less than a cent is left
// out.
func (c *counter) lines() []Line {
	var lines []Line
	for _, e := range c.entries {
		what, amounts := e.what, e.amounts
		if e.count > 1 {
			what = fmt.Sprintf("%d %s", e.count, e.price.Name)
			amounts = append([]amount{{float64(e.count), ""}}, amounts...)
		}
		total := e.price.Rate
		var basis []string
		for _, a := range amounts {
			total *= a.n
			if a.n != 1 || a.unit != "" {
				basis = append(basis, a.String())
			}
		}
		if cents(total) == 0 {
			continue
		}
		lines = append(lines, Line{
			What: what, Stack: e.stack, Basis: strings.Join(append(basis, "$"+decimal(e.price.Rate)), " x "), Month: cents(total),
			Key: e.price.Key, Source: e.price.Source, AsOf: e.price.AsOf, Estimate: e.price.Estimate || e.assumed,
		})
	}
	order := map[string]int{"account": len(c.set.Stacks)}
	for i, s := range c.set.Stacks {
		order[s.Role] = i
	}
	slices.SortStableFunc(lines, func(a, b Line) int { return order[a.Stack] - order[b.Stack] })
	return lines
}

// cents rounds to whole cents, halves up: 0.225, which no float64 is, too.
func cents(dollars float64) float64 { return math.Round(math.Round(dollars*1e6)/1e4) / 100 }

// decimal writes a number with at most five digits after the point.
func decimal(n float64) string {
	return strconv.FormatFloat(math.Round(n*1e5)/1e5, 'f', -1, 64)
}

// Keys are those of all prices that the bill needs, also of those that it lacks.
func (b Bill) Keys() []string {
	keys := slices.Clone(b.Missing)
	for _, line := range b.Lines {
		keys = append(keys, line.Key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
