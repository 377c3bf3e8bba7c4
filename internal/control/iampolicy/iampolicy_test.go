package iampolicy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const account = "123456789012"

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// policy parses statements of a test.
func policy(t testing.TB, name, statements string) Policy {
	t.Helper()
	p, err := Parse(name, `{"Version":"2012-10-17","Statement":[`+statements+`]}`)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCoversAndOverlap(t *testing.T) {
	for _, c := range []struct {
		outer, inner    string
		covers, overlap bool
	}{
		{"*", "s3:GetObject", true, true},
		{"*", "*", true, true},
		{"*", "", true, true},
		{"", "", true, true},
		{"", "a", false, false},
		{"s3:Get*", "s3:GetObject", true, true},
		{"s3:Get*", "s3:*", false, true},
		{"s3:*", "s3:Get*", true, true},
		{"s3:Get*", "s3:Put*", false, false},
		{"a?c", "abc", true, true},
		{"a?c", "a*c", false, true},
		{"a?c", "a?c", true, true},
		{"abc", "a?c", false, true},
		{"a*", "a??", true, true},
		{"a*c*e", "abcde", true, true},
		{"a*c*e", "abcd", false, false},
		{"a*b", "a*bb", true, true},
		{"*a", "b*", false, true},
		{"*a", "*b", false, false},
		{"a**", "a*", true, true},
		{"a*", "a**", true, true},
		{"x*y*z", "x*z", false, true},
		{"secret:rocca/stats/app-??????", "secret:rocca/stats/app-AbCdEf", true, true},
		{"secret:rocca/stats/app-??????", "secret:rocca/stats/app-*", false, true},
		{"secret:rocca/stats/app-??????", "secret:rocca/stats/app2-AbCdE", false, false},
	} {
		if got := Covers(c.outer, c.inner); got != c.covers {
			t.Errorf("Covers(%q, %q) is %v", c.outer, c.inner, got)
		}
		if got := Overlap(c.outer, c.inner); got != c.overlap {
			t.Errorf("Overlap(%q, %q) is %v", c.outer, c.inner, got)
		}
		if got := Overlap(c.inner, c.outer); got != c.overlap {
			t.Errorf("Overlap(%q, %q) is %v", c.inner, c.outer, got)
		}
	}
}

// Patterns over two letters, up to length four, against all texts up to length
// five: what Covers and Overlap say is what the texts say.
func TestPatternsAgainstAllTexts(t *testing.T) {
	var patterns, texts []string
	var grow func(into *[]string, letters, prefix string, left int)
	grow = func(into *[]string, letters, prefix string, left int) {
		*into = append(*into, prefix)
		for _, letter := range letters {
			if left > 0 {
				grow(into, letters, prefix+string(letter), left-1)
			}
		}
	}
	grow(&patterns, "ab*?", "", 3)
	grow(&texts, "ab", "", 5)
	matched := map[string][]bool{}
	for _, p := range patterns {
		for _, text := range texts {
			matched[p] = append(matched[p], Covers(p, text))
		}
	}
	for _, p := range patterns {
		for _, q := range patterns {
			both, onlyQ := false, false
			for i := range texts {
				both = both || matched[p][i] && matched[q][i]
				onlyQ = onlyQ || matched[q][i] && !matched[p][i]
			}
			if Overlap(p, q) != both {
				t.Errorf("Overlap(%q, %q) is %v", p, q, !both)
			}
			if onlyQ && Covers(p, q) {
				t.Errorf("%q does not cover %q", p, q)
			}
		}
	}
}

func TestDecide(t *testing.T) {
	const role = "arn:aws:iam::123456789012:role/host"
	for _, c := range []struct {
		name       string
		statements string
		action     string // else s3:GetObject
		want       string // "allowed", "denied", "", "allowed if KEY"
	}{
		{"nothing", ``, "", ""},
		{"exactly", `{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/k"}`, "", "allowed"},
		{"case of actions is no matter", `{"Effect":"Allow","Action":"S3:getobject","Resource":"*"}`, "", "allowed"},
		{"case of resources is", `{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::B/k"}`, "", ""},
		{"lists", `{"Effect":"Allow","Action":["ec2:*","s3:Get*"],"Resource":["arn:aws:s3:::a/*","arn:aws:s3:::b/?"]}`, "", "allowed"},
		{"another action", `{"Effect":"Allow","Action":"s3:Put*","Resource":"*"}`, "", ""},
		{"deny wins", `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"s3:*","Resource":"*"}`, "", "denied"},
		{"deny before allow", `{"Effect":"Deny","Action":"s3:*","Resource":"*"},{"Effect":"Allow","Action":"*","Resource":"*"}`, "", "denied"},
		{"deny elsewhere", `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::c/*"}`, "", "allowed"},
		{"NotAction allows", `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, "", "allowed"},
		{"NotAction leaves out", `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, "iam:PassRole", ""},
		{"NotAction denies", `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","NotAction":"ec2:*","Resource":"*"}`, "", "denied"},
		{"NotResource allows", `{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::c/*"}`, "", "allowed"},
		{"NotResource leaves out", `{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::b/*"}`, "", ""},
		{"variable in allow", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/${aws:username}"}`, "", "allowed"},
		{"variable in deny", `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::b/${aws:username}"}`, "", "allowed"},
		{"variable in what is not denied", `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","NotResource":"arn:aws:s3:::b/${aws:username}"}`, "", "allowed"},
		{"variable in what is not allowed", `{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::b/${aws:username}"}`, "", "allowed"},
		{"condition nobody knows", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}`, "", "allowed if aws:SourceIp"},
		{"denied by what nobody knows", `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}`, "", "allowed"},
		{"two ways, one sure", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}},{"Effect":"Allow","Action":"s3:*","Resource":"*"}`, "", "allowed"},
		{"still", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"2026-11-22T12:30:00Z"}}}`, "", "allowed"},
		{"no longer", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"2026-11-22T11:30:00Z"}}}`, "", ""},
		{"no longer, by the epoch", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:EpochTime":"1700000000"}}}`, "", ""},
		{"not yet", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2027-01-01"}}}`, "", ""},
		{"a time nobody can read", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"yesterday"}}}`, "", "allowed if aws:CurrentTime"},
		{"plain text denied", `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"AWS:SecureTransport":false}}}`, "", "denied"},
		{"with another demand, not surely", `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"},"StringEquals":{"aws:x":"y"}}}`, "", "allowed"},
		{"not equal", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:SecureTransport":["false","x"]}}}`, "", ""},
		{"an operator of sets", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:SecureTransport":"true"}}}`, "", "allowed if aws:SecureTransport"},

		{"the role", `{"Effect":"Allow","Principal":{"AWS":"` + role + `"},"Action":"*","Resource":"*"}`, "", "allowed"},
		{"another role", `{"Effect":"Allow","Principal":{"AWS":"` + role + `2"},"Action":"*","Resource":"*"}`, "", ""},
		{"its account: IAM decides", `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"*","Resource":"*"}`, "", ""},
		{"its account, denied", `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Principal":{"AWS":"123456789012"},"Action":"*","Resource":"*"}`, "", "denied"},
		{"another account, denied", `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Principal":{"AWS":"210987654321"},"Action":"*","Resource":"*"}`, "", "allowed"},
		{"everybody", `{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`, "", "allowed"},
		{"a service", `{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"*","Resource":"*"}`, "", ""},
		{"all but another", `{"Effect":"Allow","NotPrincipal":{"AWS":"` + role + `2"},"Action":"*","Resource":"*"}`, "", "allowed"},
		{"all but it", `{"Effect":"Allow","NotPrincipal":{"AWS":"` + role + `"},"Action":"*","Resource":"*"}`, "", ""},
	} {
		known := At(noon)
		known["aws:securetransport"] = "false"
		action := "s3:GetObject"
		if c.action != "" {
			action = c.action
		}
		got := Decide(Request{Principal: role, Action: action, Resource: "arn:aws:s3:::b/k", Known: known}, policy(t, "p", c.statements))
		said := ""
		switch {
		case got.Denied:
			said = "denied"
		case got.Allowed:
			said = "allowed"
			for _, condition := range got.If {
				said += " if " + condition.Key
			}
		}
		if said != c.want {
			t.Errorf("%s: %q, want %q", c.name, said, c.want)
		}
		if said != "" && got.By != "p" {
			t.Errorf("%s: decided by %q", c.name, got.By)
		}
	}
}

func TestGrants(t *testing.T) {
	for _, c := range []struct {
		name       string
		statements string
		want       []string
	}{
		{"each with each", `{"Effect":"Allow","Action":["a:X","a:Y"],"Resource":["r","s"]}`, []string{"a:X on r", "a:X on s", "a:Y on r", "a:Y on s"}},
		{"all but", `{"Effect":"Allow","NotAction":"iam:*","NotResource":"r"}`, []string{"everything but iam:* on everything but r"}},
		{"denied as a whole", `{"Effect":"Allow","Action":["a:X","b:Y"],"Resource":"r"},{"Effect":"Deny","Action":"A:*","Resource":"*"}`, []string{"b:Y on r"}},
		{"denied in part", `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"a:*","Resource":"*"}`, []string{"* on *"}},
		{"all else denied", `{"Effect":"Allow","Action":["a:X","b:*"],"Resource":"r"},{"Effect":"Deny","NotAction":"a:*","Resource":"*"}`, []string{"a:X on r"}},
		{"denied sometimes", `{"Effect":"Allow","Action":"a:X","Resource":"r"},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"false"}}}`, []string{"a:X on r"}},
		{"over", `{"Effect":"Allow","Action":"a:X","Resource":"r","Condition":{"DateLessThan":{"aws:CurrentTime":"2026-11-22T11:59:59Z"}}}`, nil},
		{"a denial that is over", `{"Effect":"Allow","Action":"a:X","Resource":"r"},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"2026-11-22T11:59:59Z"}}}`, []string{"a:X on r"}},
	} {
		var got []string
		for _, g := range Grants(At(noon), policy(t, "p", c.statements)) {
			got = append(got, g.String())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestWithin(t *testing.T) {
	right := Right{Actions: []string{"kms:decrypt", "kms:describe*"}, Resources: []string{"arn:aws:kms:*:key/*"},
		When: map[string]string{"kms:ViaService": "secretsmanager.*.amazonaws.com"}}
	const via = `"Condition":{"StringEquals":{"kms:ViaService":"secretsmanager.eu-central-1.amazonaws.com"}}`
	for _, c := range []struct {
		name, statement string
		want            bool
	}{
		{"exactly", `"Action":"kms:Decrypt","Resource":"arn:aws:kms:a:b:key/1",` + via, true},
		{"one more condition", `"Action":"kms:Decrypt","Resource":"arn:aws:kms:a:b:key/1","Condition":{"StringEquals":{"KMS:viaservice":"secretsmanager.eu-central-1.amazonaws.com","aws:x":"y"}}`, true},
		{"no condition", `"Action":"kms:Decrypt","Resource":"arn:aws:kms:a:b:key/1"`, false},
		{"a condition that a missing key meets", `"Action":"kms:Decrypt","Resource":"arn:aws:kms:a:b:key/1",` + strings.Replace(via, "StringEquals", "StringEqualsIfExists", 1), false},
		{"a condition on all values, also of none", `"Action":"kms:Decrypt","Resource":"arn:aws:kms:a:b:key/1",` + strings.Replace(via, "StringEquals", "ForAllValues:StringEquals", 1), false},
		{"any service", `"Action":"kms:Decrypt","Resource":"arn:aws:kms:a:b:key/1","Condition":{"StringLike":{"kms:ViaService":"*"}}`, false},
		{"one service too many", `"Action":"kms:Decrypt","Resource":"arn:aws:kms:a:b:key/1","Condition":{"StringEquals":{"kms:ViaService":["secretsmanager.eu-central-1.amazonaws.com","s3.eu-central-1.amazonaws.com"]}}`, false},
		{"all actions", `"Action":"kms:*","Resource":"arn:aws:kms:a:b:key/1",` + via, false},
		{"all resources", `"Action":"kms:Decrypt","Resource":"*",` + via, false},
		{"all but", `"NotAction":"iam:*","Resource":"arn:aws:kms:a:b:key/1",` + via, false},
	} {
		grants := Grants(At(noon), policy(t, "p", `{"Effect":"Allow",`+c.statement+`}`))
		if len(grants) != 1 || grants[0].Within(right) != c.want {
			t.Errorf("%s: %v", c.name, grants)
		}
	}
}

func TestReaches(t *testing.T) {
	for _, c := range []struct {
		statement        string
		action, resource string
		want             bool
	}{
		{`"Action":"ssm:GetParameter*","Resource":"*"`, "ssm:GetParameter", "arn:aws:ssm:r:a:parameter/ec2/keypair/*", true},
		{`"Action":"ssm:GetParameter*","Resource":"arn:aws:ssm:*:*:parameter/rocca/*"`, "ssm:GetParameter", "arn:aws:ssm:r:a:parameter/ec2/keypair/*", false},
		{`"Action":"SSM:*","Resource":"arn:aws:ssm:*:*:parameter/ec2/*"`, "ssm:GetParameter", "arn:aws:ssm:r:a:parameter/ec2/keypair/*", true},
		{`"Action":"ssm:*","Resource":"arn:aws:ssm:*:*:parameter/a"`, "ssm:GetParameter", "arn:aws:ssm:r:a:parameter/b:parameter/a", false},
		{`"Action":"ssm:*","Resource":"arn:aws:ssm:*"`, "ssm:GetParameter", "arn:aws:ssm:r:a:parameter/b", true},
		{`"NotAction":"ssm:*","Resource":"*"`, "ssm:GetParameter", "*", false},
		{`"NotAction":"SSM:GetParameters","Resource":"*"`, "ssm:GetParameter*", "*", true},
		{`"Action":"*","NotResource":"arn:aws:ssm:*"`, "ssm:GetParameter", "arn:aws:ssm:r:a:parameter/ec2/keypair/*", false},
	} {
		grants := Grants(At(noon), policy(t, "p", `{"Effect":"Allow",`+c.statement+`}`))
		if got := slices.ContainsFunc(grants, func(g Grant) bool { return g.Reaches(c.action, c.resource) }); got != c.want {
			t.Errorf("%s reaches %s on %s: %v", c.statement, c.action, c.resource, got)
		}
	}
}

func TestEnds(t *testing.T) {
	grants := Grants(At(noon), policy(t, "p", `{"Effect":"Allow","Action":"a:X","Resource":"r","Condition":{"DateLessThan":{"aws:CurrentTime":["2026-11-22T12:10:00Z","2026-11-22T12:30:00Z"]}}},{"Effect":"Allow","Action":"a:X","Resource":"r"}`))
	if len(grants) != 2 || !grants[0].Ends().Equal(noon.Add(30*time.Minute)) || !grants[1].Ends().IsZero() {
		t.Errorf("%v", grants)
	}
}

func TestOutsiders(t *testing.T) {
	for _, c := range []struct {
		name, statements string
		want             []string
	}{
		{"own account", `{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::123456789012:root","123456789012","arn:aws:iam::123456789012:role/x"]},"Action":"kms:*","Resource":"*"}`, nil},
		{"a service", `{"Effect":"Allow","Principal":{"Service":["events.amazonaws.com"]},"Action":"sns:Publish","Resource":"*"}`, nil},
		{"a deleted user", `{"Effect":"Allow","Principal":{"AWS":"AIDAEXAMPLEEXAMPLE"},"Action":"sns:Publish","Resource":"*"}`, nil},
		{"another account", `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::210987654321:root"},"Action":"kms:Decrypt","Resource":"*"}`, []string{"account 210987654321 may kms:Decrypt"}},
		{"its role, on a condition", `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::210987654321:role/r"},"Action":["a:X","a:Y"],"Resource":"*","Condition":{"StringEquals":{"sts:ExternalId":"x"}}}`,
			[]string{"account 210987654321 (arn:aws:iam::210987654321:role/r) may a:X, a:Y where sts:ExternalId StringEquals x"}},
		{"anybody", `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}`, []string{"anybody may s3:GetObject"}},
		{"anybody of AWS", `{"Effect":"Allow","Principal":{"AWS":"*"},"NotAction":"s3:Get*","Resource":"*"}`, []string{"anybody may everything but s3:Get*"}},
		{"anybody but one", `{"Effect":"Allow","NotPrincipal":{"AWS":"123456789012"},"Action":"s3:GetObject","Resource":"*"}`, []string{"anybody but those it names may s3:GetObject"}},
		{"anybody, of the account", `{"Effect":"Allow","Principal":"*","Action":"sns:Publish","Resource":"*","Condition":{"StringEquals":{"AWS:SourceOwner":"123456789012"}}}`, nil},
		{"anybody, of another account", `{"Effect":"Allow","Principal":"*","Action":"sns:Publish","Resource":"*","Condition":{"StringEquals":{"AWS:SourceOwner":["123456789012","210987654321"]}}}`,
			[]string{"anybody may sns:Publish where AWS:SourceOwner StringEquals 123456789012, 210987654321"}},
		{"anybody, for an ARN of the account", `{"Effect":"Allow","Principal":"*","Action":"sns:Publish","Resource":"*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:cloudwatch:*:123456789012:alarm:*"}}}`, nil},
		{"anybody, for an ARN of any account", `{"Effect":"Allow","Principal":"*","Action":"a:X","Resource":"*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:cloudwatch:*:*:alarm:*"}}}`,
			[]string{"anybody may a:X where aws:SourceArn ArnLike arn:aws:cloudwatch:*:*:alarm:*"}},
		{"anybody, for a bucket", `{"Effect":"Allow","Principal":"*","Action":"a:X","Resource":"*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::b"}}}`, []string{"anybody may a:X where aws:SourceArn ArnLike arn:aws:s3:::b"}},
		{"anybody through an endpoint", `{"Effect":"Allow","Principal":"*","Action":"a:X","Resource":"*","Condition":{"StringEquals":{"aws:SourceVpce":"vpce-1"}}}`, nil},
		{"anybody through any endpoint", `{"Effect":"Allow","Principal":"*","Action":"a:X","Resource":"*","Condition":{"StringLike":{"aws:SourceVpce":"vpce-*"}}}`, []string{"anybody may a:X where aws:SourceVpce StringLike vpce-*"}},
		{"anybody of the organization", `{"Effect":"Allow","Principal":"*","Action":"a:X","Resource":"*","Condition":{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-abc/r-1/ou-2/*"}}}`, nil},
		{"anybody, if the key is there", `{"Effect":"Allow","Principal":"*","Action":"a:X","Resource":"*","Condition":{"StringEqualsIfExists":{"aws:SourceAccount":"123456789012"}}}`,
			[]string{"anybody may a:X where aws:SourceAccount StringEqualsIfExists 123456789012"}},
		{"anybody from an address", `{"Effect":"Allow","Principal":"*","Action":"a:X","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}`, []string{"anybody may a:X where aws:SourceIp IpAddress 192.0.2.0/24"}},
		{"kept out by a denial", `{"Effect":"Allow","Principal":"*","Action":"a:X","Resource":"r"},{"Effect":"Deny","Principal":"*","Action":"A:*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalAccount":"123456789012"}}}`, nil},
		{"not kept out by a narrower one", `{"Effect":"Allow","Principal":"*","Action":"a:*","Resource":"r"},{"Effect":"Deny","Principal":"*","Action":"a:X","Resource":"*"}`, []string{"anybody may a:*"}},
		{"not kept out by one on another thing", `{"Effect":"Allow","Principal":"*","Action":"a:X","Resource":"r"},{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`, []string{"anybody may a:X"}},
		{"GitHub", `{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/token.example.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"token.example.com:aud":"sts.amazonaws.com"}}}`,
			[]string{"anybody with a login at arn:aws:iam::123456789012:oidc-provider/token.example.com may sts:AssumeRoleWithWebIdentity where token.example.com:aud StringEquals sts.amazonaws.com"}},
		{"GitHub, of one repository", `{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/token.example.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringLike":{"token.example.com:sub":"repo:me/mine:*"}}}`, nil},
		{"a user of S3", `{"Effect":"Allow","Principal":{"CanonicalUser":"79a59df9"},"Action":"s3:GetObject","Resource":"*"}`, []string{"CanonicalUser 79a59df9 may s3:GetObject"}},
	} {
		var got []string
		for _, a := range policy(t, "p", c.statements).Outsiders(account) {
			got = append(got, a.String())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":             ``,
		"no JSON":             `Version: 2012-10-17`,
		"half":                `{"Statement":[`,
		"something behind":    `{"Statement":[]} {}`,
		"an unknown element":  `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Unless":"x"}]}`,
		"an unknown top":      `{"Statements":[]}`,
		"an effect":           `{"Statement":{"Effect":"allow","Action":"*","Resource":"*"}}`,
		"no action":           `{"Statement":{"Effect":"Allow","Resource":"*"}}`,
		"both actions":        `{"Statement":{"Effect":"Allow","Action":"*","NotAction":"a:*","Resource":"*"}}`,
		"both resources":      `{"Statement":{"Effect":"Allow","Action":"*","NotResource":"a","Resource":"*"}}`,
		"both principals":     `{"Statement":{"Effect":"Allow","Action":"*","Principal":"*","NotPrincipal":"*"}}`,
		"twice":               `{"Statement":{"Effect":"Allow","Action":"*","Resource":"x","Resource":"*"}}`,
		"twice in other case": `{"Statement":{"Effect":"Allow","Action":"*","Resource":"x","resource":"*"}}`,
		"a condition twice":   `{"Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"a:b":"true","A:b":"false"}}}}`,
		"a principal":         `{"Statement":{"Effect":"Allow","Action":"*","Principal":"123456789012"}}`,
		"no text":             `{"Statement":{"Effect":"Allow","Action":{"a":"b"},"Resource":"*"}}`,
		"too long":            `{"Statement":[],"Id":"` + strings.Repeat("x", mostBytes) + `"}`,
		"bad encoding":        `%7B%22Statement%22%3A%5B%5D%7`,
	} {
		if _, err := Parse("p", text); err == nil {
			t.Errorf("%s: was taken", name)
		} else if !strings.HasPrefix(err.Error(), "read the policy p: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseReads(t *testing.T) {
	got, err := Parse("p", `%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Sid%22%3A%22S%22%2C%22Effect%22%3A%22Deny%22%2C%22NotPrincipal%22%3A%7B%22Service%22%3A%22b%22%2C%22AWS%22%3A%5B%22a%22%5D%7D%2C%22NotAction%22%3A%22a%3A%2A%22%2C%22Condition%22%3A%7B%22NumericLessThan%22%3A%7B%22a%3Ab%22%3A3%7D%7D%7D%7D`)
	if err != nil {
		t.Fatal(err)
	}
	want := Policy{Name: "p", Statements: []Statement{{
		Sid: "S", Principals: Principals{List: []Principal{{"AWS", "a"}, {"Service", "b"}}, But: true},
		Actions: Choice{Patterns: []string{"a:*"}, But: true}, Resources: Choice{Patterns: []string{"*"}},
		Conditions: []Condition{{"NumericLessThan", "a:b", []string{"3"}}},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Whatever text is read, asking it must end, and a policy that denies all to
// everybody must let nobody in.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
		`{"Statement":{"Sid":"x","Effect":"Deny","NotPrincipal":{"AWS":["*","123456789012"]},"NotAction":["s3:Get*"],"NotResource":"arn:aws:s3:::${aws:username}/*"}}`,
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"DateLessThan":{"aws:CurrentTime":"2026-11-22T12:30:00Z"},"Bool":{"aws:SecureTransport":false}}}}`,
		`%7B%22Statement%22%3A%5B%5D%7D`, `{}`, `[]`, `{"Statement":null}`, `{"Statement":[null]}`,
	} {
		f.Add(seed)
	}
	nothing := policy(f, "nothing", `{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse("p", text)
		if err != nil {
			return
		}
		request := Request{Principal: "arn:aws:iam::123456789012:role/x", Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Known: At(noon)}
		if answer := Decide(request, p, nothing); !answer.Denied || answer.Allowed {
			t.Errorf("%+v", answer)
		}
		if grants := Grants(At(noon), p, nothing); len(grants) > 0 {
			t.Errorf("%v", grants)
		}
		together := Policy{Statements: slices.Concat(p.Statements, nothing.Statements)}
		if all := together.Outsiders(account); len(all) > 0 {
			t.Errorf("%v", all)
		}
		if answer := Decide(request, p); answer.Allowed && len(Grants(At(noon), p)) == 0 {
			t.Errorf("allowed, and no grant tells so: %q", text)
		}
	})
}
