package control

import (
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// grant is a line of SHOW GRANTS, as facts have it.
type grant struct {
	text       string
	privileges []string // upper case, columns left out: "SELECT", "ALL PRIVILEGES"
	schema     string   // pattern of a schema; "*" all of the server
	table      string   // "*" all of the schema
	option     bool     // WITH GRANT OPTION
	other      string   // a role, or PROXY: not a right on data
}

// parseGrant reads "SELECT, UPDATE (`a`) ON `matomo`.`matomo_site` WITH GRANT OPTION".
func parseGrant(text string) grant {
	g := grant{text: text}
	rest, option := strings.CutSuffix(text, " WITH GRANT OPTION")
	g.option = option
	i := outsideQuotes(rest, " ON ")
	if i < 0 || strings.HasPrefix(rest, "PROXY ") || strings.HasPrefix(rest, "GRANT ") {
		g.other = rest
		return g
	}
	privileges, object := rest[:i], rest[i+len(" ON "):]
	depth := 0
	for part := range strings.SplitSeq(privileges, ",") {
		if depth == 0 {
			name, _, _ := strings.Cut(part, "(")
			g.privileges = append(g.privileges, strings.ToUpper(strings.TrimSpace(name)))
		}
		depth += strings.Count(part, "(") - strings.Count(part, ")")
	}
	for _, routine := range []string{"TABLE ", "PROCEDURE ", "FUNCTION ", "PACKAGE BODY ", "PACKAGE "} {
		object = strings.TrimPrefix(object, routine)
	}
	dot := outsideQuotes(object, ".")
	if dot < 0 {
		g.schema, g.table = "*", unquote(object)
		return g
	}
	g.schema, g.table = unquote(object[:dot]), unquote(object[dot+1:])
	return g
}

// outsideQuotes is where a text is found outside of backticks; -1 nowhere.
func outsideQuotes(text, wanted string) int {
	quoted := false
	for i := range len(text) {
		if text[i] == '`' {
			quoted = !quoted
		}
		if !quoted && strings.HasPrefix(text[i:], wanted) {
			return i
		}
	}
	return -1
}

func unquote(name string) string {
	if len(name) >= 2 && name[0] == '`' && name[len(name)-1] == '`' {
		return strings.ReplaceAll(name[1:len(name)-1], "``", "`")
	}
	return name
}

// covers tells whether a grant is about a schema: its name is a pattern of
// LIKE, unless the grant is about one table.
func (g grant) covers(schema string) bool {
	if g.schema == "*" {
		return g.other == ""
	}
	if g.table != "*" {
		return g.schema == schema
	}
	return like(g.schema, schema)
}

// like is SQL's LIKE, as an expression: a pattern of many % then takes no
// longer than its length.
func like(pattern, text string) bool {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern):
			i++
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		case c == '%':
			b.WriteString(".*")
		case c == '_':
			b.WriteByte('.')
		default:
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
	}
	compiled, err := regexp.Compile(b.String() + `\z`)
	return err != nil || compiled.MatchString(text) // what cannot be read may be any
}

// duty is what Matomo uses a database account for.
type duty string

const (
	runs     duty = "ui"      // user interface, API, archiving
	records  duty = "tracker" // only recording
	migrates duty = "admin"   // only installation and migrations
)

// matomoAccounts are Matomo's accounts of the database with their roles. An
// account of several roles has the first of runs, records, migrates. What
// cannot be told is in unread.
func matomoAccounts(v *View) (accounts map[string]duty, unread []string) {
	if !v.Database.Reached {
		return nil, []string{"the database server could not be asked: " + v.Database.Problem}
	}
	contexts, unread := readable(v.Matomo.Contexts)
	users := map[string]duty{}
	for _, c := range contexts {
		user := c.Setting("database.username")
		as := map[string]duty{"tracker": records, "admin": migrates}[c.Name]
		if as == "" {
			as = runs
		}
		if had, twice := users[user]; user != "" && (!twice || rank(as) < rank(had)) {
			users[user] = as
		}
	}
	if v.Rocca.Installed {
		users[migrationUser], users[migrationUser+"-b"] = migrates, migrates // of either slot, see rocca rotate db
	}
	accounts = map[string]duty{}
	for name, account := range v.Database.Accounts {
		user, _ := splitAccount(name)
		if as, of := users[user]; of && account.Exists && !account.Role {
			accounts[name] = as
		}
	}
	if len(accounts) == 0 && len(unread) == 0 {
		unread = append(unread, "no account of Matomo was found on the database server")
	}
	return accounts, unread
}

// migrationUser is whom rocca migrates as. No configuration names it between
// migrations.
const migrationUser = "matomo-admin"

func rank(r duty) int { return slices.Index([]duty{runs, records, migrates}, r) }

// splitAccount splits "user@host" at the last @: a user may have one.
func splitAccount(account string) (user, host string) {
	i := strings.LastIndexByte(account, '@')
	if i < 0 {
		return account, ""
	}
	return account[:i], account[i+1:]
}

// sqlAccount is an account as SQL has it.
func sqlAccount(account string) string {
	user, host := splitAccount(account)
	return "'" + strings.ReplaceAll(user, "'", "''") + "'@'" + strings.ReplaceAll(host, "'", "''") + "'"
}

// matomoSchemas are the schemas that Matomo's contexts use.
func matomoSchemas(v *View) []string {
	var schemas []string
	for _, c := range v.Matomo.Contexts {
		if name := c.Setting("database.dbname"); name != "" && !slices.Contains(schemas, name) {
			schemas = append(schemas, name)
		}
	}
	return schemas
}

// dataDir is where a database server on this machine keeps its data; empty
// when not known.
func dataDir(v *View) string {
	if v.Database.DataDir == "" {
		return ""
	}
	return path.Clean(v.Database.DataDir) // the server says it with a slash at the end
}

// ownAccount tells accounts of the server itself and of its administrator, who
// is the one that sees all others.
func ownAccount(v *View, account string) bool {
	user, _ := splitAccount(account)
	return account == v.Database.Asked && v.Database.All ||
		slices.Contains([]string{"root", "mysql", "mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema", "debian-sys-maint", "rdsadmin", "rdsrepladmin"}, user)
}

// wideHost tells whether an account may be used from more than one machine,
// those aside that Matomo is declared to run on.
func wideHost(v *View, host string) bool {
	return host == "" || strings.ContainsAny(host, "%_/") && host != v.Declared.Machines
}

// untold tells which variables of the server are not known.
func untold(v *View, names ...string) []string {
	var unseen []string
	for _, name := range names {
		if _, known := v.Database.Variables[name]; !known {
			unseen = append(unseen, "the database server did not tell "+name)
		}
	}
	return unseen
}

// variableOn reads a switch of the server.
func variableOn(v *View, name string) bool {
	return slices.Contains([]string{"ON", "1", "YES", "TRUE", "FORCE"}, strings.ToUpper(v.Database.Variables[name]))
}

// variable is evidence about a variable of the server.
func variable(v *View, name, want string) model.Evidence {
	return model.Evidence{Subject: name, Have: name + " = " + v.Database.Variables[name], Want: want}
}

// remoteDatabase tells whether Matomo's database is on another machine.
func remoteDatabase(v *View) bool {
	return v.Database.Remote || slices.ContainsFunc(v.Matomo.Contexts, func(c facts.Context) bool { return remoteHost(c) != "" })
}

// privateAddress tells whether an address is of a network that the internet
// does not reach.
func privateAddress(text string) bool {
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return err == nil && (address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() || netip.MustParsePrefix("100.64.0.0/10").Contains(address.Unmap()))
}
