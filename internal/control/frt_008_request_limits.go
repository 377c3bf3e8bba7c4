package control

import (
	"regexp"
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

const (
	slowest = 60 // seconds that a client may take for its header or body
	biggest = 64 << 20
)

var frt008 = Control{
	ID:       "FRT-08",
	Title:    "the front limits how long and how big a request may be",
	Why:      "One machine that sends thousands of requests, a byte every few seconds, holds all connections of a server without limits (Slowloris). Without a limit of size it fills disk and memory.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Web},
	Eval:     ofSites(nginxLimits, apacheLimits, "rocca does not know the limits of %s"),
	Fix:      automatic("nginx: client_header_timeout 15s; client_body_timeout 15s; client_max_body_size as small as each path allows. Apache: RequestReadTimeout header=15-40,MinRate=500 body=15,MinRate=500 and LimitRequestBody.", frontSteps...),
	Attack:   "A20",
	Maps:     []model.Ref{nginx("5.2.1-5.2.3"), apache("9.x"), apache("10.x")},
	Since:    "0.3",
}

func nginxLimits(v *View, site facts.Site) []model.Evidence {
	var found []model.Evidence
	for _, name := range []string{"client_header_timeout", "client_body_timeout"} {
		settings := v.Front.Directive(site, name)
		if len(settings) == 0 {
			found = append(found, siteSubject(site, name+" is not set", name+" 15s"))
		}
		for _, s := range settings {
			if seconds := nginxSeconds(s.Value); seconds == 0 || seconds > slowest {
				found = append(found, at(s, name+" "+s.Value, name+" 15s"))
			}
		}
	}
	sizes := v.Front.Directive(site, "client_max_body_size")
	if len(sizes) == 0 {
		found = append(found, siteSubject(site, "client_max_body_size is not set", "client_max_body_size 8m"))
	}
	for _, s := range sizes {
		if size := phpBytes(s.Value); size == 0 || size > biggest {
			found = append(found, at(s, "client_max_body_size "+s.Value, "at most 64m, and not 0"))
		}
	}
	return found
}

func apacheLimits(v *View, site facts.Site) []model.Evidence {
	var found []model.Evidence
	timeouts := v.Front.Directive(site, "requestreadtimeout")
	if len(timeouts) == 0 {
		found = append(found, siteSubject(site, "RequestReadTimeout is not set", "RequestReadTimeout header=15-40,MinRate=500 body=15,MinRate=500"))
	}
	all := "" // Debian sets header and body by two directives
	for _, s := range timeouts {
		lower := strings.ToLower(s.Value)
		all += " " + lower
		if unlimited.MatchString(lower) {
			found = append(found, at(s, "RequestReadTimeout "+s.Value, "header=15-40,MinRate=500 body=15,MinRate=500"))
		}
	}
	for _, part := range []string{"header", "body"} {
		if len(timeouts) > 0 && !strings.Contains(all, part+"=") {
			found = append(found, at(timeouts[0], "RequestReadTimeout without "+part+"=", part+"=15,MinRate=500"))
		}
	}
	bodies := v.Front.Directive(site, "limitrequestbody")
	if len(bodies) == 0 {
		found = append(found, siteSubject(site, "LimitRequestBody is not set, so it is 1 GiB", "LimitRequestBody 8388608"))
	}
	for _, s := range bodies {
		if size, err := strconv.ParseInt(strings.TrimSpace(s.Value), 10, 64); err != nil || size == 0 || size > biggest {
			found = append(found, at(s, "LimitRequestBody "+s.Value, "at most 64 MiB, and not 0"))
		}
	}
	return found
}

// unlimited is a part of RequestReadTimeout without limit.
var unlimited = regexp.MustCompile(`(?:header|body)=0(?:[ ,]|$)`)

// nginxSeconds reads a time of nginx: "15s", "1m", "500ms", "30".
func nginxSeconds(value string) float64 {
	value = strings.ToLower(strings.TrimSpace(value))
	for _, unit := range []struct {
		suffix  string
		seconds float64
	}{{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"", 1}} {
		if number, fits := strings.CutSuffix(value, unit.suffix); fits {
			n, err := strconv.ParseFloat(number, 64)
			if err != nil {
				return 0
			}
			return n * unit.seconds
		}
	}
	return 0
}
