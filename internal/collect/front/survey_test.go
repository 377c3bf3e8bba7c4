package front

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aymanbagabas/go-udiff"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"rocca/internal/facts"
	"rocca/internal/rooted"
)

var update = flag.Bool("update", false, "write the golden files")

// plant makes the files of an archive. A file that begins with "-> " is a link.
func plant(t testing.TB, files []txtar.File) string {
	t.Helper()
	root := t.TempDir()
	for _, file := range files {
		name := filepath.Join(root, file.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, isLink := strings.CutPrefix(string(file.Data), "-> "); isLink {
			err = os.Symlink(strings.TrimSpace(target), name)
		} else {
			err = os.WriteFile(name, file.Data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func look(t *testing.T, root string) facts.Front {
	t.Helper()
	f, _, err := Survey(t.Context(), root, facts.Server{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Configurations as they are on Debian 12, but for comments: the servers of
// internal/demo/weak, and an nginx with what people write.
func TestSurvey(t *testing.T) {
	for _, test := range []struct {
		name, root string // of Matomo
		pools      []facts.Pool
		roles      []string
	}{
		{"stock", "/var/www/matomo", []facts.Pool{{SAPI: "apache2"}}, []string{"ui tracker"}},
		{"s1", "/var/www/html", []facts.Pool{{SAPI: "fpm", Listen: "/run/php/php8.2-fpm.sock"}, {SAPI: "fpm", Listen: "127.0.0.1:9000"}}, []string{"ui tracker", ""}},
		{"s2", "/var/www/matomo/www", []facts.Pool{{SAPI: "fpm", Listen: "[::]:9000"}, {SAPI: "fpm", Listen: "127.0.0.1:9001"}}, []string{"ui tracker", ""}},
		{"nginx", "/srv/matomo", []facts.Pool{{SAPI: "fpm", Listen: "/run/php/php8.2-fpm.sock"}, {SAPI: "fpm", Listen: "127.0.0.1:9100"}, {SAPI: "apache2"}}, []string{"ui tracker", "tracker", ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			archive, err := txtar.ParseFile("testdata/" + test.name + ".txtar")
			if err != nil {
				t.Fatal(err)
			}
			f := look(t, plant(t, archive.Files))
			php := facts.PHP{Pools: test.pools}
			MarkMatomo(&f, &php, test.root)
			var roles []string
			for _, p := range php.Pools {
				roles = append(roles, p.Role)
			}
			if diff := cmp.Diff(test.roles, roles); diff != "" {
				t.Errorf("roles of the pools: %s", diff)
			}
			golden(t, "testdata/"+test.name+".json", f)
		})
	}
}

func golden(t *testing.T, file string, f facts.Front) {
	t.Helper()
	got, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(got) {
		t.Errorf("differs from %s; go test ./internal/collect/front -update writes it anew\n%s", file, udiff.Unified("want", "got", string(want), string(got)))
	}
}

// What rocca renders, in each of its forms.
func TestOwnConfigurations(t *testing.T) {
	const modules = "ssl rewrite headers proxy proxy_fcgi setenvif authz_core authz_host alias mime dir deflate filter http2 allowmethods reqtimeout expires"
	for _, golden := range []string{"plain-12", "plain-13", "restricted-12", "restricted-13"} {
		for _, program := range []string{"nginx", "apache2"} {
			t.Run(golden+" "+program, func(t *testing.T) {
				files := []txtar.File{{Name: "usr/sbin/" + program}, {Name: "var/www/matomo/www", Data: []byte("-> www-matomo.5.3.0")}, {Name: "var/www/matomo/www-matomo.5.3.0/matomo.php"}}
				for _, name := range []string{"etc/" + program + "/sites-available/matomo.conf", "etc/nginx/snippets/matomo-fastcgi.conf"} {
					text, err := os.ReadFile("../../front/testdata/" + golden + "/" + name)
					if err != nil {
						t.Fatal(err)
					}
					files = append(files, txtar.File{Name: name, Data: text})
				}
				main := "http {\ninclude /etc/nginx/sites-available/*.conf;\n}\n"
				if program == "apache2" {
					main = "Listen 80\nListen 443\n"
					for module := range strings.FieldsSeq(modules) {
						main += "LoadModule " + module + "_module x.so\n"
					}
					main += "IncludeOptional sites-available/*.conf\n"
				}
				files = append(files, txtar.File{Name: "etc/" + program + "/" + map[string]string{"nginx": "nginx.conf", "apache2": "apache2.conf"}[program], Data: []byte(main)})
				f := look(t, plant(t, files))
				if len(f.Faults) > 0 || f.Program != program {
					t.Fatalf("%s: %q", f.Program, f.Faults)
				}
				php := facts.PHP{Pools: []facts.Pool{{SAPI: "fpm", Listen: "/run/matomo/ui.sock"}, {SAPI: "fpm", Listen: "/run/matomo/tracker.sock"}, {SAPI: "fpm", Listen: "/run/matomo/other.sock"}}}
				MarkMatomo(&f, &php, "/var/www/matomo/www-matomo.5.3.0")
				if php.Pools[0].Role != "ui" || php.Pools[1].Role != "tracker" || php.Pools[2].Role != "" {
					t.Errorf("roles %q, %q, %q", php.Pools[0].Role, php.Pools[1].Role, php.Pools[2].Role)
				}
				var matomo []facts.Site
				for _, site := range f.Sites {
					if site.Matomo {
						matomo = append(matomo, site)
					}
				}
				if len(matomo) != 1 {
					t.Fatalf("%d sites serve Matomo, want 1", len(matomo))
				}
				for _, l := range matomo[0].Listens {
					if !l.TLS || !l.HTTP2 || l.Port != 443 || l.Default {
						t.Errorf("listens at %+v", l)
					}
				}
				target, err := TargetOf(facts.Server{Front: f, Matomo: facts.Matomo{Real: "/var/www/matomo/www-matomo.5.3.0"}})
				if err != nil {
					t.Fatal(err)
				}
				if target.HTTPS != "127.0.0.1:443" || target.HTTP != "127.0.0.1:80" || target.Base != "/" || !strings.Contains(target.Name, ".example") {
					t.Errorf("target %+v", target)
				}
			})
		}
	}
}

func TestWhichProgramIsTheFront(t *testing.T) {
	root := plant(t, txtar.Parse([]byte("-- usr/sbin/nginx --\n-- usr/sbin/apache2 --\n-- etc/nginx/nginx.conf --\nhttp { }\n-- etc/apache2/apache2.conf --\nListen 80\n")).Files)
	for _, test := range []struct {
		name  string
		known facts.Server
		want  string
		other bool
	}{
		{"nothing is known", facts.Server{}, "nginx", false},
		{"one is enabled", facts.Server{Units: map[string]facts.Unit{"apache2.service": {Enabled: true}}}, "apache2", false},
		{"one runs", facts.Server{Units: map[string]facts.Unit{"nginx.service": {Enabled: true}, "apache2.service": {Active: true}}}, "apache2", false},
		{"both run, one has port 443", facts.Server{Listeners: []facts.Listener{{Program: "nginx", Port: 8080}, {Program: "apache2", Port: 443}}}, "apache2", true},
	} {
		f, _, err := Survey(t.Context(), root, test.known)
		if err != nil {
			t.Fatal(err)
		}
		if f.Program != test.want || (len(f.Faults) > 0) != test.other {
			t.Errorf("%s: %s, %q", test.name, f.Program, f.Faults)
		}
	}
	if f := look(t, t.TempDir()); f.Program != "" {
		t.Errorf("found %s where nothing is", f.Program)
	}
}

func TestApacheConditions(t *testing.T) {
	root := plant(t, txtar.Parse([]byte(`
-- usr/sbin/apache2 --
-- etc/apache2/envvars --
unset HOME
if [ "${X}" != "y" ] ; then
	SUFFIX="-${X##y}"
else
	SUFFIX=
fi
export APACHE_RUN_USER=www-data
export APACHE_LOG_DIR=/var/log/apache2$SUFFIX
-- etc/apache2/apache2.conf --
User ${APACHE_RUN_USER}
Define ROOT "/srv/my site"
LoadModule rewrite_module x.so
LoadModule ssl_module x.so
<IfModule mod_rewrite.c>
  <IfModule !mod_ssl.c>
    Listen 1
  </IfModule>
  Listen 80
</IfModule>
<IfModule ssl_module>
  Listen 443
</IfModule>
<IfDefine ROOT>
Timeout 10
</IfDefine>
<IfDefine !ROOT>
Timeout 20
</IfDefine>
<IfVersion >= 2.4>
KeepAlive On
</IfVersion>
<IfVersion < 2.4>
KeepAlive Off
</IfVersion>
LogFormat "%h \"%r\" \
 end" two
<VirtualHost *:80 [::1]:81>
  ServerName https://a.example:80
  ServerAlias b.example c.example
  DocumentRoot "${ROOT}/"
  ProxyPassMatch "^/(.*\.php)$" "unix:/run/a.sock|fcgi://localhost/srv"
  <Directory "${ROOT}">
    <Files "x.php">
      Require all denied
    </Files>
    Options -Indexes \
      +FollowSymLinks
  </Directory>
  # Include not.conf
</VirtualHost>
<Macro M>
</Macro>
Include nothing.conf
IncludeOptional nothing-*.conf
Include apache2.conf
</Broken>
<Directory /x>
`)).Files)
	f := look(t, root)
	if f.User != "www-data" {
		t.Errorf("user %q", f.User)
	}
	for name, want := range map[string]string{"timeout": "10", "keepalive": "On", "logformat": `%h "%r"  end two`} {
		if got := last(f.Global, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	site := f.Sites[0]
	if diff := cmp.Diff([]string{"a.example", "b.example", "c.example"}, site.Names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]facts.Listen{{Port: 80, Default: true}}, site.Listens); diff != "" {
		t.Errorf("nothing listens on 81: %s", diff)
	}
	if site.Docroot != "/srv/my site" {
		t.Errorf("document root %q", site.Docroot)
	}
	var got []string
	for _, l := range site.Locations {
		got = append(got, strings.Join([]string{l.Kind, l.Match, l.In, l.Backend, last(l.Directives, "options")}, "|"))
	}
	if diff := cmp.Diff([]string{`proxypassmatch|^/(.*\.php)$||/run/a.sock|`, "directory|/srv/my site|||-Indexes +FollowSymLinks", "files|x.php|directory /srv/my site||"}, got); diff != "" {
		t.Error(diff)
	}
	if len(f.Sites) != 2 || f.Sites[1].Listens[0].Port != 443 {
		t.Errorf("the main server answers on port 443: %+v", f.Sites[1:])
	}
	want := []string{"macros are not followed", "nothing.conf does not exist", "includes itself", "</broken> closes nothing", "<directory> is not closed"}
	for i, fault := range f.Faults {
		if i >= len(want) || !strings.Contains(fault, want[i]) || !strings.HasPrefix(fault, "/etc/apache2/apache2.conf:") {
			t.Errorf("fault %q", fault)
		}
	}
	if len(f.Faults) != len(want) {
		t.Errorf("faults %q", f.Faults)
	}
}

func TestVersions(t *testing.T) {
	for _, test := range []struct {
		args string
		want bool
	}{{">= 2.4", true}, {">=2.4.50", true}, {"< 2.4", false}, {"2.4.62", true}, {"= 2.4", true}, {"> 2.5", false}, {"~ ^2\\.4", true}, {"/2\\.3/", false}, {"", false}} {
		if got := versionHolds("2.4.62", strings.Fields(test.args)); got != test.want {
			t.Errorf("2.4.62 %s: %t", test.args, got)
		}
	}
}

func TestMatomoBelowADirectory(t *testing.T) {
	for _, test := range []struct {
		name string
		site facts.Site
		base string
		want bool
	}{
		{"its own root", facts.Site{Docroot: "/srv/m", Real: "/srv/m"}, "/", true},
		{"below", facts.Site{Real: "/srv"}, "/m", true},
		{"beside", facts.Site{Real: "/srv/mm"}, "", false},
		{"alias of Apache", facts.Site{Real: "/var/www", Directives: map[string][]facts.Setting{"alias": {{Value: "/stats /srv/m/"}}}}, "/stats", true},
		{"alias of nginx", facts.Site{Locations: []facts.Location{{Kind: "location", Match: "/s/", Directives: map[string][]facts.Setting{"alias": {{Value: "/srv/m/"}}}}}}, "/s/", true},
		{"nothing is served", facts.Site{}, "", false},
	} {
		if base, got := below(test.site, "/srv/m"); base != test.base || got != test.want {
			t.Errorf("%s: %q, %t", test.name, base, got)
		}
	}
}

// What Apache's own PHP is told by a site counts for its workers.
func TestSettingsOfSites(t *testing.T) {
	set := func(value string) []facts.Setting { return []facts.Setting{{Value: value, From: "x:1"}} }
	f := facts.Front{Program: "apache2", Sites: []facts.Site{{Docroot: "/m", Real: "/m",
		Directives: map[string][]facts.Setting{"php_admin_value": set("open_basedir /m:/tmp"), "php_flag": set("display_errors on")},
		Locations:  []facts.Location{{Kind: "filesmatch", Match: `.+\.ph(?:ar|p|tml)$`, Directives: map[string][]facts.Setting{"sethandler": set("application/x-httpd-php")}}}}}}
	sapi := map[string]facts.Setting{"display_errors": {Value: ""}}
	php := facts.PHP{Pools: []facts.Pool{{SAPI: "apache2", Settings: sapi}}}
	MarkMatomo(&f, &php, "/m")
	want := map[string]facts.Setting{"display_errors": {Value: "1", From: "x:1"}, "open_basedir": {Value: "/m:/tmp", From: "x:1", Admin: true}}
	if diff := cmp.Diff(want, php.Pools[0].Settings); diff != "" || php.Pools[0].Role != "ui tracker" {
		t.Errorf("role %q: %s", php.Pools[0].Role, diff)
	}
	if sapi["display_errors"].Value != "" {
		t.Error("the settings of the program itself changed")
	}
}

func FuzzNginx(f *testing.F) {
	f.Add("http { server { listen 80; root /x; location ~ \\.php$ { fastcgi_pass unix:/x.sock; } } include sites-enabled/*; }", "server { listen [::]:443 ssl http2; if ($x) { return 403; } }")
	f.Add("user a b;include nginx.conf;include /etc/nginx/sites-enabled/a;", "include ../nginx.conf; include a; }}{{ \"${")
	f.Add("http { content_by_lua_block { if x then { } } '} a \\", "upstream x { server 1.2.3.4; } map $a $b { }")
	root := fuzzRoot(f, "nginx", "/etc/nginx/nginx.conf")
	f.Fuzz(func(t *testing.T, main, site string) { fuzzed(t, root, "nginx", "/etc/nginx/nginx.conf", main, site) })
}

func FuzzApache(f *testing.F) {
	f.Add("Listen 80\nIncludeOptional sites-enabled/*\n<Directory />\nRequire all denied\n</Directory>", "<VirtualHost *:80>\nServerName a\nDocumentRoot /x\n<FilesMatch \"\\.php$\">\nSetHandler \"proxy:unix:/a|fcgi://b\"\n</FilesMatch>\n</VirtualHost>")
	f.Add("Define A ${A}${A}\nDefine A ${A}${A}\nInclude apache2.conf\nInclude sites-enabled", "<IfModule x\n<IfVersion\n</\n<If \"\\\nInclude sites-enabled/a")
	f.Add("<Proxy balancer://x>\nBalancerMember \n</Proxy>\nProxyPass / balancer://x", "RewriteRule ( fcgi://[::1 [P]\n<VirtualHost * [ : _default_>\n</VirtualHost>\nSSLEngine")
	root := fuzzRoot(f, "apache2", "/etc/apache2/apache2.conf")
	f.Fuzz(func(t *testing.T, main, site string) {
		fuzzed(t, root, "apache2", "/etc/apache2/apache2.conf", main, site)
	})
}

// fuzzRoot makes the directories that each run of a fuzz test writes into.
func fuzzRoot(f *testing.F, program, main string) string {
	return plant(f, []txtar.File{{Name: "usr/sbin/" + program}, {Name: main}, {Name: "etc/" + program + "/sites-enabled/a"}})
}

func fuzzed(t *testing.T, root, program, file, main, site string) {
	start := time.Now()
	for name, text := range map[string]string{file: main, "/etc/" + program + "/sites-enabled/a": site} {
		if err := os.WriteFile(root+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := newConf(rooted.Dir(root))
	var f facts.Front
	if program == "nginx" {
		f = c.nginx(file)
	} else {
		f = c.apache(file, "")
	}
	php := facts.PHP{Pools: []facts.Pool{{SAPI: "fpm", Listen: "/x.sock"}, {SAPI: "apache2"}}}
	MarkMatomo(&f, &php, "/x")
	for _, s := range f.Sites {
		if s.File == "" || s.Line < 1 {
			t.Fatalf("a site without a place: %+v", s)
		}
	}
	if elapsed := time.Since(start); elapsed > 20*time.Second {
		t.Fatalf("took %s", elapsed)
	}
}
