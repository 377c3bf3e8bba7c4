package cost

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"rocca/internal/aws/settings"
)

// Waste is money that buys nothing.
type Waste struct {
	What  string  `json:"what"`
	Stack string  `json:"stack"`
	Why   string  `json:"why"`
	Fix   string  `json:"fix"`
	Month float64 `json:"month"` // US dollars; 0: not known
}

// wasteOf finds what a deployment pays for and does not use. What cannot be
// told from the templates is not called waste.
func wasteOf(c *counter) []Waste {
	var found []Waste
	for _, s := range c.set.Stacks {
		for _, id := range slices.Sorted(maps.Keys(s.Template.Resources)) {
			r := resource{s.Template.Resources[id], s, id}
			if w, is := c.waste(r); is {
				w.What, w.Stack, w.Month = r.called(), s.Role, cents(w.Month)
				found = append(found, w)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b Waste) int { return cmp.Compare(b.Month, a.Month) })
	return found
}

func (c *counter) waste(r resource) (Waste, bool) {
	switch r.Type {
	case "AWS::EC2::NatGateway":
		if c.idle(r) {
			return Waste{Why: "no instance is in a subnet that goes out through it", Fix: "network.nat: none",
				Month: c.cost("nat gateway", hours) + c.cost("public address", hours)}, true
		}
	case "AWS::EC2::EIP":
		if r.at("InstanceId") == nil && !c.attached(r) {
			return Waste{Why: "nothing uses this address", Fix: "take it out", Month: c.cost("public address", hours)}, true
		}
	case "AWS::EC2::Volume":
		if kind := text(r.at("VolumeType")); kind == "gp2" || kind == "" {
			return Waste{Why: "gp3 is faster and costs less than gp2", Fix: "VolumeType: gp3",
				Month: c.cost("disk gp2", number(r.at("Size"))) - c.cost("disk gp3", number(r.at("Size")))}, true
		}
	case "AWS::RDS::DBInstance":
		return c.wasteOfDatabase(r)
	case "AWS::Logs::LogGroup":
		if number(r.at("RetentionInDays")) == 0 {
			return Waste{Why: "kept for ever: it only grows", Fix: "monitoring.log_days"}, true
		}
	}
	return Waste{}, false
}

func (c *counter) wasteOfDatabase(r resource) (Waste, bool) {
	class := text(r.at("DBInstanceClass"))
	copies := 1.0
	if yes(r.at("MultiAZ")) {
		copies = 2
	}
	switch {
	case extended(r):
		return Waste{Why: "MySQL " + text(r.at("EngineVersion")) + " is out of standard support: each processor costs extra", Fix: "database.version: 8.4",
			Month: c.cost("database extended support", copies*processors(class)*hours)}, true
	case copies == 2 && c.set.Settings.Profile == settings.Single:
		return Waste{Why: "a standby in a second zone does not help while the one server is in the first", Fix: "database.multi_az: false",
			Month: c.cost("database "+class, hours) + c.cost("database storage "+text(r.at("StorageType")), number(r.at("AllocatedStorage")))}, true
	case text(r.at("StorageType")) == "gp2" || r.at("StorageType") == nil:
		return Waste{Why: "gp3 is faster than gp2 for the same money", Fix: "StorageType: gp3"}, true
	}
	return Waste{}, false
}

func (c *counter) cost(key string, quantity float64) float64 {
	price, _ := c.prices.Of(key)
	return price.Rate * quantity
}

// idle tells whether no instance is behind a NAT gateway.
func (c *counter) idle(nat resource) bool {
	behind := map[string]bool{} // subnets
	for _, route := range nat.in.Template.Resources {
		if route.Type != "AWS::EC2::Route" || reference(route.Properties["NatGatewayId"]) != nat.id {
			continue
		}
		for _, association := range nat.in.Template.Resources {
			if association.Type == "AWS::EC2::SubnetRouteTableAssociation" &&
				reference(association.Properties["RouteTableId"]) == reference(route.Properties["RouteTableId"]) {
				behind[nat.in.Role+"."+reference(association.Properties["SubnetId"])] = true
			}
		}
	}
	for _, s := range c.set.Stacks {
		for id, r := range s.Template.Resources {
			for _, subnet := range c.subnets(resource{r, s, id}) {
				where := c.resolve(subnet, s.Role)
				if where == "" || behind[where] {
					return false // used, or it cannot be told
				}
			}
		}
	}
	return true
}

// subnets that instances are started in.
func (c *counter) subnets(r resource) []any {
	switch r.Type {
	case "AWS::AutoScaling::AutoScalingGroup":
		return list(r.at("VPCZoneIdentifier"))
	case "AWS::EC2::Instance":
		of := c.launched(r, r.Properties)
		var all []any
		if of["SubnetId"] != nil {
			all = append(all, of["SubnetId"])
		}
		for _, card := range list(of["NetworkInterfaces"]) {
			if subnet := property(card, "SubnetId"); subnet != nil {
				all = append(all, subnet)
			}
		}
		return all
	}
	return nil
}

// resolve finds the resource that a value leads to, as "base.SubnetA", also
// through the parameter that carries an output to a later stack. It is empty
// when the value is the concrete id of something.
func (c *counter) resolve(value any, role string) string {
	if id := reference(value); id != "" {
		return role + "." + id
	}
	name, found := strings.CutPrefix(text(value), "{{resolve:ssm:/rocca/"+c.set.Settings.Name+"/")
	if !found {
		return ""
	}
	from, output, _ := strings.Cut(strings.TrimSuffix(name, "}}"), "/")
	for _, s := range c.set.Stacks {
		if s.Role == from {
			return c.resolve(s.Template.Outputs[output].Value, from)
		}
	}
	return ""
}

// attached tells whether something of EC2 refers to a resource.
func (c *counter) attached(to resource) bool {
	target := to.in.Role + "." + to.id
	for _, s := range c.set.Stacks {
		for _, r := range s.Template.Resources {
			if strings.HasPrefix(r.Type, "AWS::EC2::") && c.mentions(r.Properties, s.Role, target) {
				return true
			}
		}
	}
	return false
}

func (c *counter) mentions(value any, role, target string) bool {
	if c.resolve(value, role) == target {
		return true
	}
	switch v := value.(type) {
	case map[string]any:
		for _, below := range v {
			if c.mentions(below, role, target) {
				return true
			}
		}
	case []any:
		for _, item := range v {
			if c.mentions(item, role, target) {
				return true
			}
		}
	}
	return false
}
