package cost

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Price is what one thing costs.
type Price struct {
	Key        string  `json:"key"`        // such as "instance t4g.small"
	Name       string  `json:"name"`       // of many of them, where a line counts several; else empty
	Rate       float64 `json:"rate"`       // US dollars for one Unit
	Unit       string  `json:"unit"`       // h, GB, GB-month, month, million ...
	Source     string  `json:"source"`     // where it was read, in words
	AsOf       string  `json:"as_of"`      // when it held: a day, month or year
	Estimate   bool    `json:"estimate"`   // no list says so, or the list was one of another region
	Everywhere bool    `json:"everywhere"` // the same in every region
}

// Prices are what things cost in one region.
type Prices struct {
	region string
	known  bool // the level of prices in this region is known
	byKey  map[string]Price
}

//go:embed prices.json
var table []byte

// ListPrices are those that rocca brings along, for a region. They were read
// in us-east-1; elsewhere they are estimates by the region's price level.
func ListPrices(region string) (Prices, error) {
	var read struct {
		Region  string `json:"region"` // where the prices hold
		Sources map[string]struct {
			What string `json:"what"`
			AsOf string `json:"as_of"`
		} `json:"sources"`
		Regions map[string]float64 `json:"regions"` // price level; that of Region is 1
		Prices  []Price            `json:"prices"`
	}
	decoder := json.NewDecoder(bytes.NewReader(table))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil {
		return Prices{}, fmt.Errorf("read the table of prices: %w", err)
	}
	level, known := read.Regions[region]
	if !known {
		level = 1
	}
	prices := Prices{region: region, known: known, byKey: map[string]Price{}}
	for _, p := range read.Prices {
		source, ok := read.Sources[p.Source]
		if _, twice := prices.byKey[p.Key]; twice || !ok || p.Rate <= 0 {
			return Prices{}, fmt.Errorf("read the table of prices: %q is there twice, without a source, or without a rate", p.Key)
		}
		p.Source, p.AsOf = source.What, source.AsOf
		if !p.Everywhere && region != read.Region {
			p.Rate *= level
			p.Estimate = true
		}
		prices.byKey[p.Key] = p
	}
	return prices, nil
}

// Region is where the prices hold.
func (p Prices) Region() string { return p.region }

// Keys lists everything that has a price.
func (p Prices) Keys() []string { return slices.Sorted(maps.Keys(p.byKey)) }

// Of finds a price by its key.
func (p Prices) Of(key string) (Price, bool) {
	price, found := p.byKey[key]
	return price, found
}

// With are the prices with some of them replaced, or added.
func (p Prices) With(newer []Price) Prices {
	p.byKey = maps.Clone(p.byKey)
	for _, price := range newer {
		p.byKey[price.Key] = price
	}
	return p
}
