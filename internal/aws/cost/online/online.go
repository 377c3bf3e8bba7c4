// Package online asks AWS what things cost today.
package online

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/aws/client"
	"rocca/internal/aws/cost"
)

// Kept is a price that stays as it was, because AWS's answer is of no use.
type Kept struct {
	Key string `json:"key"`
	Why string `json:"why"`
}

// Refresh asks AWS for the prices with these keys, in the region of prices. It
// may be given keys of prices that are not known yet. What is the same in every
// region, or sold by how much is used, is not asked for. It needs the right
// pricing:GetProducts.
func Refresh(ctx context.Context, c client.Config, prices cost.Prices, keys []string) (cost.Prices, []Kept, error) {
	there := c.Copy()
	there.Region = office(prices.Region())
	var newer []cost.Price
	var kept []Kept
	for _, key := range keys {
		q, askable := questionFor(key)
		if !askable {
			continue
		}
		answers, err := ask(ctx, there, q, prices.Region())
		if err != nil {
			return cost.Prices{}, nil, fmt.Errorf("ask AWS for the price of %s: %w", key, client.Explain(err))
		}
		price, why := choose(answers, q)
		if why != "" {
			kept = append(kept, Kept{key, why})
			continue
		}
		old, _ := prices.Of(key)
		price.Key, price.Name, price.Unit = key, old.Name, q.unit
		newer = append(newer, price)
	}
	return prices.With(newer), kept, nil
}

// office is the region whose price list service is near: there are few.
func office(region string) string {
	if strings.HasPrefix(region, "eu-") {
		return "eu-central-1"
	}
	return "us-east-1"
}

// question is how AWS's price list is searched for a key.
type question struct {
	service string
	filters map[string]string
	unit    string // as cost writes it
}

// questionFor finds the question for a key; not all have one.
func questionFor(key string) (question, bool) {
	kind, which, _ := strings.Cut(key, " ")
	engine, node, _ := strings.Cut(which, " ")
	switch {
	case kind == "instance":
		return question{"AmazonEC2", map[string]string{"instanceType": which, "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}, "h"}, true
	case kind == "database" && strings.HasPrefix(which, "db."):
		return question{"AmazonRDS", map[string]string{"instanceType": which, "databaseEngine": "MySQL", "deploymentOption": "Single-AZ"}, "h"}, true
	case kind == "cache" && engine != "" && node != "":
		return question{"AmazonElastiCache", map[string]string{"instanceType": node, "cacheEngine": strings.ToUpper(engine[:1]) + engine[1:], "productFamily": "Cache Instance"}, "h"}, true
	}
	q, found := questions[key]
	return q, found
}

var questions = map[string]question{
	"disk gp2":               {"AmazonEC2", map[string]string{"productFamily": "Storage", "volumeApiName": "gp2"}, "GB-month"},
	"disk gp3":               {"AmazonEC2", map[string]string{"productFamily": "Storage", "volumeApiName": "gp3"}, "GB-month"},
	"database storage gp3":   {"AmazonRDS", map[string]string{"productFamily": "Database Storage", "volumeType": "General Purpose-GP3", "databaseEngine": "MySQL", "deploymentOption": "Single-AZ"}, "GB-month"},
	"nat gateway":            {"AmazonEC2", map[string]string{"productFamily": "NAT Gateway", "operation": "NatGateway"}, "h"},
	"nat gateway traffic":    {"AmazonEC2", map[string]string{"productFamily": "NAT Gateway", "operation": "NatGateway"}, "GB"},
	"load balancer":          {"AWSELB", map[string]string{"productFamily": "Load Balancer-Application", "operation": "LoadBalancing:Application"}, "h"},
	"load balancer capacity": {"AWSELB", map[string]string{"productFamily": "Load Balancer-Application", "operation": "LoadBalancing:Application"}, "LCU-h"},
	"interface endpoint":     {"AmazonVPC", map[string]string{"productFamily": "VpcEndpoint", "endpointType": "PrivateLink"}, "h"},
}

// unitNames are how AWS writes a unit.
var unitNames = map[string][]string{
	"h":        {"Hrs", "Hours", "Hour"},
	"GB":       {"GB", "Gigabytes"},
	"GB-month": {"GB-Mo", "GB-month"},
	"LCU-h":    {"LCU-Hrs", "LCU-Hours"},
}

// most pages of products are read: a good question has one.
const mostPages = 5

func ask(ctx context.Context, c client.Config, q question, region string) ([]string, error) {
	filters := []client.Fields{{"Type": "TERM_MATCH", "Field": "regionCode", "Value": region}}
	for field, value := range q.filters {
		filters = append(filters, client.Fields{"Type": "TERM_MATCH", "Field": field, "Value": value})
	}
	var all []string
	wanted := client.Fields{"ServiceCode": q.service, "Filters": filters, "FormatVersion": "aws_v1"}
	for range mostPages {
		var page struct {
			PriceList []string
			NextToken string
		}
		if err := client.Ask(ctx, c, "pricing:GetProducts", wanted, &page); err != nil {
			return nil, err
		}
		all = append(all, page.PriceList...)
		if page.NextToken == "" {
			break
		}
		wanted["NextToken"] = page.NextToken
	}
	return all, nil
}

// product is what matters here of an answer.
type product struct {
	PublicationDate string `json:"publicationDate"`
	Terms           struct {
		OnDemand map[string]struct {
			PriceDimensions map[string]struct {
				Unit         string            `json:"unit"`
				BeginRange   string            `json:"beginRange"`
				PricePerUnit map[string]string `json:"pricePerUnit"`
			} `json:"priceDimensions"`
		} `json:"OnDemand"`
	} `json:"terms"`
}

// choose finds the one price on demand in an answer. When there are several,
// none is: a wrong price is worse than an old one.
func choose(answers []string, q question) (price cost.Price, why string) {
	for _, text := range answers {
		var p product
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return cost.Price{}, "the answer could not be read: " + err.Error()
		}
		for _, term := range p.Terms.OnDemand {
			for _, d := range term.PriceDimensions {
				rate, err := strconv.ParseFloat(d.PricePerUnit["USD"], 64)
				if err != nil || rate <= 0 || d.BeginRange != "" && d.BeginRange != "0" || !slices.ContainsFunc(unitNames[q.unit], func(name string) bool { return strings.EqualFold(name, d.Unit) }) {
					continue
				}
				if price.Rate != 0 && price.Rate != rate {
					return cost.Price{}, "AWS has several prices for it"
				}
				day, _, _ := strings.Cut(p.PublicationDate, "T")
				price = cost.Price{Rate: rate, AsOf: day, Source: "AWS price list of " + q.service}
			}
		}
	}
	if price.Rate == 0 {
		return cost.Price{}, "AWS has no price for it in this region"
	}
	return price, ""
}
