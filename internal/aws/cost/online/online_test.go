package online_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/cost"
	"rocca/internal/aws/cost/online"
)

// product is one of the price list, with an hourly price and one of nothing,
// as for what is reserved.
func product(unit, rate string) string {
	return fmt.Sprintf(`{"publicationDate":"2026-11-20T01:02:03Z","terms":{"OnDemand":{"A.B":{"priceDimensions":{
		"A.B.1":{"unit":%q,"beginRange":"0","endRange":"Inf","pricePerUnit":{"USD":%q}},
		"A.B.2":{"unit":%q,"beginRange":"1024","endRange":"Inf","pricePerUnit":{"USD":"0.0000010000"}},
		"A.B.3":{"unit":"Quantity","beginRange":"0","endRange":"Inf","pricePerUnit":{"USD":"9.0000000000"}}}}}}}`, unit, rate, unit)
}

// office answers questions by the instance type, or else the family, asked for.
func office(t *testing.T, cloud *awstest.Cloud, products map[string][]string) *[]map[string]string {
	t.Helper()
	asked := &[]map[string]string{}
	cloud.Answer("pricing", "GetProducts", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var question struct {
			ServiceCode string
			Filters     []struct{ Type, Field, Value string }
		}
		if err := json.Unmarshal(body, &question); err != nil {
			t.Error(err)
		}
		filters := map[string]string{"service": question.ServiceCode}
		for _, f := range question.Filters {
			if f.Type != "TERM_MATCH" {
				t.Errorf("filter of type %s", f.Type)
			}
			filters[f.Field] = f.Value
		}
		*asked = append(*asked, filters)
		found := products[filters["instanceType"]+filters["productFamily"]]
		answer, _ := json.Marshal(map[string]any{"FormatVersion": "aws_v1", "PriceList": slices.Concat([]string{}, found)})
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = w.Write(answer)
	})
	return asked
}

func TestRefresh(t *testing.T) {
	cloud := awstest.Start(t)
	asked := office(t, cloud, map[string][]string{
		"t4g.small":                     {product("Hrs", "0.0192000000"), product("Hrs", "0.0000000000")},
		"m9z.large":                     {product("Hrs", "0.1234000000")},
		"db.t4g.small":                  {product("Hrs", "0.0360000000"), product("Hrs", "0.0400000000")},
		"cache.t4g.smallCache Instance": {product("Hrs", "0.0307000000")},
		"NAT Gateway":                   {product("Hrs", "0.0520000000"), product("GB", "0.0530000000")},
		"Storage":                       {"not JSON"},
	})
	before, err := cost.ListPrices("eu-central-1")
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{"instance t4g.small", "instance m9z.large", "database db.t4g.small", "cache valkey cache.t4g.small", "nat gateway", "nat gateway traffic", "disk gp3", "load balancer", "key"}
	after, kept, err := online.Refresh(t.Context(), cloud.Config(t), before, keys)
	if err != nil {
		t.Fatal(err)
	}
	rates := map[string]float64{}
	for _, key := range keys {
		price, found := after.Of(key)
		if !found {
			t.Errorf("%s is gone", key)
		}
		if old, _ := before.Of(key); price.Rate != old.Rate {
			rates[key] = price.Rate
			if price.AsOf != "2026-11-20" || price.Estimate || !strings.HasPrefix(price.Source, "AWS price list") {
				t.Errorf("%s: %+v", key, price)
			}
		}
	}
	want := map[string]float64{"instance t4g.small": 0.0192, "instance m9z.large": 0.1234, "cache valkey cache.t4g.small": 0.0307, "nat gateway": 0.052, "nat gateway traffic": 0.053}
	if diff := cmp.Diff(want, rates); diff != "" {
		t.Error(diff)
	}
	why := map[string]string{}
	for _, k := range kept {
		why[k.Key] = k.Why
	}
	if diff := cmp.Diff([]string{"database db.t4g.small", "disk gp3", "load balancer"}, slices.Sorted(maps.Keys(why))); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(why["database db.t4g.small"], "several") || !strings.Contains(why["load balancer"], "no price") {
		t.Errorf("%v", why)
	}
	first := map[string]string{"service": "AmazonEC2", "regionCode": "eu-central-1", "instanceType": "t4g.small", "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
	if diff := cmp.Diff(first, (*asked)[0]); diff != "" {
		t.Error(diff)
	}
	if len(*asked) != len(keys)-1 {
		t.Errorf("asked %d times", len(*asked))
	}
	for _, call := range cloud.Calls() {
		if call.String() != "pricing:GetProducts" {
			t.Errorf("%s", call)
		}
	}
}

func TestRefreshDenied(t *testing.T) {
	cloud := awstest.Start(t)
	cloud.Fail("pricing", "GetProducts", 1, 9, awstest.Denied)
	prices, err := cost.ListPrices("us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = online.Refresh(t.Context(), cloud.Config(t), prices, []string{"instance t4g.small"})
	if err == nil || !strings.Contains(err.Error(), "instance t4g.small") || !strings.Contains(err.Error(), "hint: ") {
		t.Errorf("got %v", err)
	}
}
