package reach

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
)

// Debian's places.
const (
	databaseSocket = "/run/mysqld/mysqld.sock"
	databasePort   = "3306"
)

// databaseServer adds secrets, accounts and schemas.
func (g *Graph) databaseServer() {
	d := g.server.Database
	g.whoConnects()
	schemas := map[string]int{}
	legit := map[string]bool{}
	for _, context := range g.server.Matomo.Contexts {
		if name := context.Setting("database.dbname"); name != "" {
			schemas[name] = g.node(Node{Schema, name}, "", visits)
		}
		legit[context.Setting("database.username")] = true
	}
	if !d.Remote && (len(d.Accounts) > 0 || d.DataDir != "") {
		g.dataFiles(schemas)
	}
	for _, context := range g.server.Matomo.Contexts {
		g.password(context, schemas)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Accounts)) {
		account := d.Accounts[name]
		if !account.Exists || account.Role {
			continue
		}
		user, _, _ := cutLast(name, "@")
		own := legit[user] || g.runs[user] || g.databaseUser == user
		for schema, n := range schemas {
			if action, why := g.rightsOn(account, schema); action != "" {
				g.link(g.account(name), edge{to: n, action: action, why: why, intended: own})
			}
		}
		if why, files := g.filesRight(account); files && g.databaseUser != "" && !d.Remote {
			g.link(g.account(name), edge{to: g.user(g.databaseUser), action: Become, why: why})
		}
		g.logIn(name, account)
	}
}

func (g *Graph) account(name string) int { return g.node(Node{Account, name}, "", way) }

// whoConnects works out which footholds get to the database server.
func (g *Graph) whoConnects() {
	d := g.server.Database
	g.bySocket, g.byTCP = make([]bool, len(g.footholds)), make([]bool, len(g.footholds))
	route := g.follow(cmp.Or(d.Variables["socket"], databaseSocket))
	port := cmp.Or(d.Variables["port"], databasePort)
	listens := !slices.Contains([]string{"ON", "1", "YES"}, strings.ToUpper(d.Variables["skip_networking"]))
	if len(g.server.Listeners) > 0 {
		listens = slices.ContainsFunc(g.server.Listeners, func(l facts.Listener) bool {
			return strconv.Itoa(l.Port) == port && l.Protocol != "udp"
		})
	}
	if !route.inode.Exists() {
		route.inode = facts.Path{Type: facts.Other, Mode: 0o777, Owner: "mysql", Group: "mysql"}
	}
	for i, f := range g.footholds {
		g.bySocket[i] = f.unix && g.direct(route, i).connect != ""
		g.byTCP[i] = f.loopback && listens
	}
}

// satisfied tells whether any of these footholds can use an account.
func (g *Graph) satisfied(n need, holds []int) bool {
	if n == (need{}) {
		return true
	}
	return slices.ContainsFunc(holds, func(i int) bool {
		return n.socket && g.bySocket[i] || n.tcp && g.byTCP[i] || n.remote && g.footholds[i].network
	})
}

// needOf tells how an account is used from this machine.
func (g *Graph) needOf(account string) need {
	if g.server.Database.Remote {
		return need{remote: true}
	}
	_, host, _ := cutLast(account, "@")
	switch host {
	case "localhost":
		return need{socket: true, tcp: true}
	case "127.0.0.1", "::1":
		return need{tcp: true}
	}
	return need{socket: strings.Trim(host, "%") == "", tcp: true}
}

// password leads from a configuration to the account that it names.
func (g *Graph) password(context facts.Context, schemas map[string]int) {
	user := context.Setting("database.username")
	if user == "" || context.Config == "" {
		return
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(g.server.Database.Accounts)) {
		if before, _, _ := cutLast(name, "@"); before == user && !bySocket(g.server.Database.Accounts[name]) {
			names = append(names, name)
		}
	}
	strength, known := context.Secrets["database.password"]
	if known && strength.Length == 0 || len(names) == 0 && len(g.server.Database.Accounts) > 0 {
		return
	}
	secret := g.node(Node{Secret, "database password of " + context.Config}, "", credential)
	g.nodes[secret].knower = true
	g.link(g.reading(context.Config, private, g.owners(context)), edge{to: secret, action: Know, why: "it is in the file", intended: true})
	if len(names) == 0 { // the server could not be asked: what the configuration says
		host := cmp.Or(context.Setting("database.host"), "localhost")
		account := g.account(user + "@" + host)
		g.link(secret, edge{to: account, action: Connect, why: "the configuration names it", intended: true, needs: g.needOf(user + "@" + host)})
		if n, known := schemas[context.Setting("database.dbname")]; known {
			g.link(account, edge{to: n, action: Alter, why: "it is the account that Matomo uses", intended: true})
		}
		return
	}
	for _, name := range names {
		g.link(secret, edge{to: g.account(name), action: Connect, why: "it is the password of it", intended: true, needs: g.needOf(name)})
	}
}

func bySocket(a facts.Account) bool {
	return strings.Contains(a.Identity, "unix_socket") || strings.Contains(a.Identity, "auth_socket")
}

// logIn adds who uses an account without a password.
func (g *Graph) logIn(name string, account facts.Account) {
	if account.Locked {
		return
	}
	user, _, _ := cutLast(name, "@")
	for i, f := range g.footholds {
		switch {
		case bySocket(account) && f.user == user && g.bySocket[i]:
			g.out[i] = append(g.out[i], edge{to: g.account(name), action: Connect, why: "the server asks the kernel who connects (unix_socket)", intended: true})
		case account.NoWord && !bySocket(account) && g.satisfied(g.needOf(name), []int{i}):
			g.out[i] = append(g.out[i], edge{to: g.account(name), action: Connect, why: "it has no password"})
		}
	}
}

// grant is one line of SHOW GRANTS, without GRANT.
type grant struct {
	privileges []string // upper case
	schema     string   // pattern; "*" for all
	table      string
}

func parseGrant(text string) (grant, bool) {
	before, after, found := cutLast(text, " ON ")
	if !found || strings.HasPrefix(text, "PROXY") {
		return grant{}, false
	}
	after, _, _ = strings.Cut(after, " TO ")
	after, _, _ = strings.Cut(after, " WITH ")
	schema, table, found := cutLast(after, ".")
	if !found {
		return grant{}, false
	}
	var g grant
	depth := 0
	for part := range strings.SplitSeq(strings.TrimPrefix(before, "GRANT "), ",") {
		if depth == 0 {
			name, _, _ := strings.Cut(part, "(")
			g.privileges = append(g.privileges, strings.ToUpper(strings.TrimSpace(name)))
		}
		depth += strings.Count(part, "(") - strings.Count(part, ")")
	}
	g.schema, g.table = strings.Trim(strings.TrimSpace(schema), "`"), strings.Trim(strings.TrimSpace(table), "`")
	return g, true
}

func (g grant) has(privileges ...string) bool {
	return slices.ContainsFunc(g.privileges, func(p string) bool {
		return p == "ALL" || p == "ALL PRIVILEGES" || slices.Contains(privileges, p)
	})
}

// like matches a schema with the pattern of a grant: % and _ stand for any
// characters and one, unless after a backslash.
func like(pattern, name string) bool {
	if pattern == "*" {
		return true
	}
	expression := ""
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern):
			i++
			expression += quoted(pattern[i])
		case c == '%':
			expression += "*"
		case c == '_':
			expression += "?"
		default:
			expression += quoted(c)
		}
	}
	matched, err := path.Match(expression, name)
	return err == nil && matched
}

func quoted(c byte) string {
	if strings.IndexByte(`*?[]\`, c) >= 0 {
		return `\` + string(c)
	}
	return string(c)
}

// grantsOf are those of an account and of the roles that it has.
func (g *Graph) grantsOf(account facts.Account) []grant {
	var grants []grant
	for _, text := range account.Grants {
		if parsed, ok := parseGrant(text); ok {
			grants = append(grants, parsed)
			continue
		}
		role := strings.Trim(strings.TrimPrefix(text, "GRANT "), "` ")
		for name, other := range g.server.Database.Accounts {
			if before, _, _ := cutLast(name, "@"); other.Role && (name == role || before == role) {
				for _, text := range other.Grants {
					if parsed, ok := parseGrant(text); ok {
						grants = append(grants, parsed)
					}
				}
			}
		}
	}
	return grants
}

// rightsOn tells what an account can do to a schema.
func (g *Graph) rightsOn(account facts.Account, schema string) (Action, string) {
	var reads, alters []grant
	for _, grant := range g.grantsOf(account) {
		if !like(grant.schema, schema) {
			continue
		}
		switch {
		case grant.has("INSERT", "UPDATE", "DELETE", "DROP", "ALTER", "TRIGGER", "SUPER"):
			alters = append(alters, grant)
		case grant.has("SELECT"):
			reads = append(reads, grant)
		}
	}
	tell := func(grants []grant) string {
		first := grants[0]
		for _, grant := range grants {
			if grant.table == "*" {
				first = grant
				break
			}
		}
		if first.table != "*" {
			return "it has grants on " + strconv.Itoa(len(alters)+len(reads)) + " of its tables"
		}
		return "GRANT " + strings.Join(first.privileges, ", ") + " ON " + first.schema + "." + first.table
	}
	switch {
	case len(alters) > 0:
		return Alter, tell(alters)
	case len(reads) > 0:
		return Read, tell(reads)
	}
	return "", ""
}

// filesRight tells whether an account reads and writes files as the server's
// user, or loads code into the server.
func (g *Graph) filesRight(account facts.Account) (string, bool) {
	fenced, set := g.server.Database.Variables["secure_file_priv"]
	for _, grant := range g.grantsOf(account) {
		if grant.schema != "*" || grant.table != "*" {
			continue
		}
		if grant.has("SUPER") {
			return "an account with SUPER on *.* can load code into the server", true
		}
		if grant.has("FILE") && (!set || fenced == "") {
			return "with FILE it reads and writes files as the server's user", true
		}
	}
	return "", false
}

// dataFiles leads from the server's files to the schemas.
func (g *Graph) dataFiles(schemas map[string]int) {
	d := g.server.Database
	directory := path.Clean(cmp.Or(d.DataDir, d.Variables["datadir"], "/var/lib/mysql"))
	g.databaseUser = cmp.Or(g.follow(directory).inode.Owner, "mysql")
	if g.isRoot(g.databaseUser) || g.runs[g.databaseUser] {
		g.databaseUser = "mysql"
	}
	u := g.user(g.databaseUser)
	g.nodes[u].weight = max(g.nodes[u].weight, service)
	own := map[string]bool{g.databaseUser: true}
	for _, schema := range slices.Sorted(maps.Keys(schemas)) {
		files := path.Join(directory, schema)
		if g.follow(files).inode.Exists() { // else its mode is not known
			g.link(g.reading(files, way, own), edge{to: schemas[schema], action: Read, why: "its tables are files there", intended: true})
		}
		g.link(g.changing(files, way, own), edge{to: schemas[schema], action: Alter, why: "its tables are files there", intended: true})
		g.link(u, edge{to: schemas[schema], action: Alter, why: "the database server runs as it", intended: true})
	}
}

// redis adds servers that hold Matomo's cache or queue and ask for no password.
func (g *Graph) redis() {
	for _, server := range g.server.Redis {
		if server.Auth || server.Address == "" {
			continue
		}
		g.connecting(server.Address, facts.Path{}, cached, func(f *foothold) bool { return g.runs[f.user] })
	}
}
