package control

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

const excludedInConfiguration = "Tracker.url_query_parameter_to_exclude_from_url"

// usuallyExcluded is what Matomo takes out of addresses by itself, of what
// matters here (config/global.ini.php). From 5.13 on it takes tokens out too.
const usuallyExcluded = "phpsessid,jsessionid,sessionid,aspsessionid,sid"

// secretParameters log somebody in, or name a person.
var secretParameters = []string{
	"token_auth", "tokenauth", "token", "access_token", "id_token", "refresh_token",
	"auth", "apikey", "api_key", "secret", "clientsecret", "client_secret",
	"password", "pass", "passwd", "pwd",
	"email", "e-mail", "e_mail", "mail", "emailaddress", "email_address",
	"phpsessid", "jsessionid", "sessionid", "sid",
}

var trk003 = Control{
	ID:       "TRK-03",
	Title:    "passwords, tokens, sessions and mail addresses are taken out of recorded addresses",
	Why:      "Links that reset a password, confirm a mail address or log in carry a secret. Matomo records the address of each page: without this list every reader of a report can follow such links, and mail addresses stand beside what their owners looked at.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App, facts.Content},
	Eval: func(v *View) Verdict {
		contexts, unread := readable(forHits(v))
		unread = append(unread, gaps(v, "options", "sites")...)
		var against []model.Evidence
		for _, c := range contexts {
			missing := kept(secretParameters, excludedEverywhere(v, c))
			path, line := c.Where(excludedInConfiguration)
			want := "in " + excludedInConfiguration[len("Tracker."):]
			sites := slices.DeleteFunc(slices.Clone(v.Rows.Sites), func(s facts.TrackedSite) bool { return len(kept(missing, s.Excluded)) == 0 })
			alike := !slices.ContainsFunc(v.Rows.Sites, func(s facts.TrackedSite) bool { return len(kept(missing, s.Excluded)) < len(missing) })
			if alike && len(missing) > 0 {
				against = append(against, model.Evidence{Subject: path, Line: line, Have: "kept in addresses: " + strings.Join(missing, ", "), Want: want})
				continue
			}
			for _, site := range sites {
				against = append(against, model.Evidence{Subject: path, Line: line, Have: fmt.Sprintf("kept in addresses of site %d: %s", site.ID, strings.Join(kept(missing, site.Excluded), ", ")), Want: want})
			}
		}
		return conclude(against, unread)
	},
	Fix: Fix{
		Kind:  model.FixAutomatic,
		Text:  "Add them to url_query_parameter_to_exclude_from_url in [Tracker] of config.ini.php, behind what is in the list already. Matomo's own list of personal data (Administration, Websites, Settings) takes out more: also id, name and city, which many sites need.",
		Steps: configurationSteps,
		Changes: func(v *View) []Change {
			contexts, _ := readable(forHits(v))
			var changes []Change
			for _, c := range contexts {
				if missing := kept(secretParameters, excludedEverywhere(v, c)); len(missing) > 0 {
					list := strings.Split(valueOf(c, excludedInConfiguration, usuallyExcluded), ",")
					changes = append(changes, setInConfiguration(v, c, excludedInConfiguration, strings.Join(append(list, missing...), ",")))
				}
			}
			return changes
		},
	},
	Attack: "A33",
	Maps:   []model.Ref{asvs("14.2.3"), gdpr("Art. 5(1)(c)")},
	Since:  "0.3",
}

// excludedEverywhere are the parameters that are taken out for all sites. What
// the option lists counts only while it is the kind that was chosen.
func excludedEverywhere(v *View, c facts.Context) []string {
	excluded := strings.Split(valueOf(c, excludedInConfiguration, usuallyExcluded), ",")
	switch kind, _ := option(v, "SitesManager_ExcludeTypeQueryParamsGlobal", ""); kind {
	case "common_session_parameters":
		return excluded
	case "matomo_recommended_pii":
		return append(excluded, c.Settings["SitesManager.CommonPIIParams"]...)
	}
	list, _ := option(v, "SitesManager_ExcludedQueryParameters", "")
	return append(excluded, strings.Split(list, ",")...)
}

// kept are the parameters that none of the patterns takes out. As in Matomo a
// pattern is a name, or a regular expression with its delimiters: "/^utm_/".
func kept(parameters, patterns []string) []string {
	return slices.DeleteFunc(slices.Clone(parameters), func(parameter string) bool {
		return slices.ContainsFunc(patterns, func(pattern string) bool {
			pattern = strings.TrimSpace(pattern)
			if strings.EqualFold(pattern, parameter) {
				return true
			}
			inner, isExpression := strings.CutPrefix(strings.TrimSuffix(pattern, "i"), "/")
			inner, closed := strings.CutSuffix(inner, "/")
			if !isExpression || !closed || inner == "" {
				return false
			}
			expression, err := regexp.Compile("(?i)" + inner)
			return err == nil && expression.MatchString(parameter)
		})
	})
}
