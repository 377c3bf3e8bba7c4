package mariadb

import (
	"os"
	"strings"
	"testing"

	"rocca/internal/secret"
)

func TestQuoting(t *testing.T) {
	for _, c := range []struct {
		quote      func(string) string
		name       string
		text, want string
	}{
		{Quote, "Quote", "", `''`},
		{Quote, "Quote", "matomo", `'matomo'`},
		{Quote, "Quote", "it's", `'it''s'`},
		{Quote, "Quote", `\`, `'\\'`},
		{Quote, "Quote", `\' OR 1=1 -- `, `'\\'' OR 1=1 -- '`},
		{Quote, "Quote", `"` + "`", `'"` + "`'"},
		{Identifier, "Identifier", "matomo", "`matomo`"},
		{Identifier, "Identifier", "a`b", "`a``b`"},
		{Identifier, "Identifier", "a_b%", "`a_b%`"},
		{Pattern, "Pattern", "matomo", "`matomo`"},
		{Pattern, "Pattern", "web_stats", "`web\\_stats`"},
		{Pattern, "Pattern", "a%`", "`a\\%```"},
		{User, "User", "matomo@localhost", "'matomo'@'localhost'"},
		{User, "User", "matomo@%", "'matomo'@'%'"},
		{User, "User", "o'x@h", "'o''x'@'h'"},
		{User, "User", "alone", "'alone'@''"},
	} {
		if got := c.quote(c.text); got != c.want {
			t.Errorf("%s(%q) is %s, want %s", c.name, c.text, got, c.want)
		}
	}
}

// FuzzQuote reads the literal as MariaDB does, with and without
// NO_BACKSLASH_ESCAPES off: it must end where it ends, and be the text.
func FuzzQuote(f *testing.F) {
	for _, seed := range []string{"", "a", "'", `\`, `\'`, `''\\`, "\x00\n\r\x1a", "ä'", `'; DROP TABLE x; -- `} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, rest, ok := readLiteral(Quote(text))
		if !ok || rest != "" || got != text {
			t.Errorf("%q becomes %s, which reads as %q with %q after it", text, Quote(text), got, rest)
		}
		inner := Identifier(text)
		inner = inner[1 : len(inner)-1]
		if strings.ReplaceAll(strings.ReplaceAll(inner, "``", ""), "`", "!") != strings.ReplaceAll(inner, "``", "") || strings.ReplaceAll(inner, "``", "`") != text {
			t.Errorf("%q becomes the identifier %s", text, Identifier(text))
		}
	})
}

// readLiteral reads a quoted string as MariaDB's lexer does.
func readLiteral(sql string) (text, rest string, ok bool) {
	if !strings.HasPrefix(sql, "'") {
		return "", sql, false
	}
	var out strings.Builder
	for i := 1; i < len(sql); i++ {
		switch {
		case sql[i] == '\\' && i+1 < len(sql):
			i++
			out.WriteByte(sql[i])
		case sql[i] == '\'' && i+1 < len(sql) && sql[i+1] == '\'':
			i++
			out.WriteByte('\'')
		case sql[i] == '\'':
			return out.String(), sql[i+1:], true
		default:
			out.WriteByte(sql[i])
		}
	}
	return "", "", false
}

func TestOpenVerifiesARemoteServer(t *testing.T) {
	for _, ca := range []string{"", "no certificate"} {
		_, err := Open(Server{Host: "db.example.org", Port: 3306, CA: []byte(ca), User: "admin", Password: secret.New("hunter2-secret")})
		if err == nil || !strings.Contains(err.Error(), "no certificate") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("CA %q: got %v", ca, err)
		}
	}
	if (Server{}).Remote() || !(Server{Host: "db.example.org"}).Remote() {
		t.Error("a server is remote when it has a host")
	}
}

// TestErrorsDoNotShowTheStatement: it may hold a password.
func TestErrorsDoNotShowTheStatement(t *testing.T) {
	conn, err := Open(Server{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := os.Stat(Socket); err == nil {
		t.Skip("a database server runs on this machine")
	}
	err = conn.Exec(t.Context(), "CREATE USER x IDENTIFIED BY 'hunter2-secret'")
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "hint: ") {
		t.Errorf("got %v", err)
	}
}
