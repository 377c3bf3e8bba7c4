package control

import (
	"encoding/json"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws044 = Control{
	ID:       "AWS-44",
	Title:    "every name of the domain leads to something that is there, and CAA says who may issue certificates for it",
	Why:      "AWS gives an address or a name that was given up to the next who asks: with a record that still leads there, he answers for your name, with a valid certificate, and visitors load the tracker script from him.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudZone},
	Eval: func(v *View) Verdict {
		zone := v.Cloud.Zone
		if zone.ID == "" {
			return notApplicable("the domain is not kept in a zone of Route 53 in this account")
		}
		domain := v.Cloud.Wanted.Domain
		var against []model.Evidence
		var unread []string
		leads := ""
		for _, r := range zone.Records {
			if !address(r) {
				continue
			}
			if dnsName(r.Name) == domain {
				leads = leadsTo(r)
			}
			for _, target := range targetsOfAWS(r) {
				switch {
				case r.Exists:
				case visible(v, target):
					against = append(against, model.Evidence{Subject: dnsName(r.Name) + " " + r.Type, Have: "leads to " + target + ", which is not there", Want: "a resource that is there, or no record"})
				default:
					unread = append(unread, "could not see whether "+target+" is there")
				}
			}
			if r.Type != "CNAME" && r.Alias == "" && !r.Exists && dnsName(r.Name) == domain {
				against = append(against, model.Evidence{Subject: domain + " " + r.Type, Have: "leads to " + leadsTo(r) + ", which is no address of this account in this region", Want: "the address of the deployment"})
			}
		}
		if domain != "" && leads == "" {
			against = append(against, model.Evidence{Subject: domain, Have: "no record", Want: "one that leads to Matomo"})
		}
		var seen []model.Evidence
		if leads != "" {
			seen = append(seen, model.Evidence{Subject: domain, Have: "leads to " + leads})
		}
		for _, name := range namesInZone(v) {
			at, authorities := authoritiesFor(zone, name)
			if len(authorities) == 0 {
				against = append(against, model.Evidence{Subject: name + " CAA", Have: "every authority may issue certificates", Want: "CAA with issue"})
				continue
			}
			seen = append(seen, model.Evidence{Subject: at + " CAA", Have: strings.Join(authorities, ", ")})
		}
		verdict := conclude(against, unread)
		if verdict.Status == model.Pass {
			verdict.Evidence = seen[:min(len(seen), evidenceOnPass)]
		}
		return verdict
	},
	Fix: guidedBy("Remove records of what is gone, before what they lead to is given up. rocca aws deploy makes the record of the domain and its CAA where zone: names the zone; with a certificate of your own (tls.certificate), add CAA for its authority.", func(v *View) []Change {
		zone, domain := v.Cloud.Zone, v.Cloud.Wanted.Domain
		if zone.ID == "" || domain == "" || slices.ContainsFunc(zone.Records, func(r facts.ZoneRecord) bool { return r.Type == "CAA" && dnsName(r.Name) == domain }) {
			return nil
		}
		if _, authorities := authoritiesFor(zone, domain); len(authorities) > 0 {
			return nil
		}
		authority := "letsencrypt.org"
		if !single(v) {
			authority = "amazon.com"
		}
		if slices.ContainsFunc(presentedCertificates(v), func(p presented) bool { return p.certificate.Kind != "AMAZON_ISSUED" }) {
			return nil // by whom it is only its owner knows
		}
		return []Change{{
			Sentence: "let " + authority + " alone issue certificates for " + domain,
			Command:  v.commandLine("route53", "change-resource-record-sets", "--hosted-zone-id", zone.ID, "--change-batch", authorityOnly(domain, authority)),
		}}
	}),
	Maps:  []model.Ref{fsbp("Route53.2")},
	Since: "0.6",
}

// dnsName is a name of Route 53 as people write it.
func dnsName(name string) string {
	return strings.ToLower(strings.TrimSuffix(strings.ReplaceAll(name, `\052`, "*"), "."))
}

func address(r facts.ZoneRecord) bool { return r.Type == "A" || r.Type == "AAAA" || r.Type == "CNAME" }

// ofAWS are endings of names that AWS gives to resources, and to the next who
// asks when they are given up.
var ofAWS = []string{".amazonaws.com", ".amazonaws.com.cn", ".cloudfront.net", ".elasticbeanstalk.com"}

// targetsOfAWS are the resources of AWS that a record leads to by name.
func targetsOfAWS(r facts.ZoneRecord) []string {
	if r.Alias != "" {
		return []string{dnsName(r.Alias)}
	}
	if r.Type != "CNAME" {
		return nil
	}
	var targets []string
	for _, value := range r.Values {
		target := dnsName(value)
		if slices.ContainsFunc(ofAWS, func(ending string) bool { return strings.HasSuffix(target, ending) }) {
			targets = append(targets, target)
		}
	}
	return targets
}

// visible tells whether a name is of a load balancer in the region that was
// looked at: of others nobody asked whether they are there.
func visible(v *View, target string) bool {
	return strings.Contains(target, ".elb.") && strings.Contains(target, "."+v.Cloud.Region+".")
}

func leadsTo(r facts.ZoneRecord) string {
	if r.Alias != "" {
		return dnsName(r.Alias)
	}
	return strings.Join(r.Values, ", ")
}

// namesInZone are the names that need CAA: the domain, and where none is known
// those that have addresses.
func namesInZone(v *View) []string {
	if v.Cloud.Wanted.Domain != "" {
		return []string{v.Cloud.Wanted.Domain}
	}
	var names []string
	for _, r := range v.Cloud.Zone.Records {
		// The first label of what proves a name to ACM is no host.
		if name := dnsName(r.Name); address(r) && !strings.HasPrefix(name, "_") && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// authoritiesFor tells which authorities may issue for a name, and which name
// says so: the nearest upwards that has CAA at all (RFC 8659). What is above
// the zone is not seen.
func authoritiesFor(zone facts.Zone, name string) (at string, authorities []string) {
	top := dnsName(zone.Name)
	for {
		found := false
		for _, r := range zone.Records {
			if r.Type != "CAA" || dnsName(r.Name) != name {
				continue
			}
			found = true
			for _, value := range r.Values {
				if fields := strings.Fields(value); len(fields) == 3 && fields[1] == "issue" {
					authorities = append(authorities, strings.Trim(fields[2], `"`))
				}
			}
		}
		_, above, more := strings.Cut(name, ".")
		if found || name == top || !more {
			return name, authorities
		}
		name = above
	}
}

// authorityOnly is the change of Route 53 that adds CAA to a name without any.
func authorityOnly(domain, authority string) string {
	type object map[string]any
	text, err := json.Marshal(object{"Changes": []object{{"Action": "CREATE", "ResourceRecordSet": object{
		"Name": domain, "Type": "CAA", "TTL": 300,
		"ResourceRecords": []object{{"Value": `0 issue "` + authority + `"`}, {"Value": `0 issuewild ";"`}},
	}}}})
	if err != nil {
		panic(err) // texts always encode
	}
	return string(text)
}
