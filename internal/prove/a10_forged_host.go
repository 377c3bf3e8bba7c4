package prove

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"rocca/internal/prove/web"
)

var a10 = Attack{
	ID:    "A10",
	Title: "a forged Host or X-Forwarded-Host gets into answers",
	How: "Asks for Matomo's login page by names that are not its own: in Host, twice, with ports, users, dots and other signs, against the name in the handshake and against a whole URL in the request line, " +
		"without any name, by HTTP/1.0, HTTP/1.1, HTTP/2 and without TLS; and by its own name with each header in which proxies tell a name. " +
		"It falls when a forged name comes back in a header or in the page, or when a name that is not Matomo's gets its page: links in mails that reset passwords begin with that name.",
	Risk:    "some dozen requests, most of them refused",
	Without: []Protection{frontNames, proxyHostHeaders},
	Attempt: func(ctx context.Context, t *Target, record *Record) error {
		v, err := t.visitor(10, record)
		if err != nil {
			return err
		}
		for _, f := range forgeries(t.Name(), Canary()+".invalid", t.TLS(), t.FrontAddress(true) != "") {
			if err := v.forge(ctx, f); err != nil {
				return err
			}
		}
		return nil
	},
}

var frontNames = Protection{
	ID:    "front-names",
	Title: "the front answers to Matomo's names only",
	Part:  FrontPart,
	Remove: editsFront(
		`-e 's/server_name ~\.;/server_name ~^$;/' -e '/server_name [^_~]/s/;/ ~.;/' -e '/if ($http_host/,/}/d'`,
		`'/^    ServerAlias /s/$/ */'`,
	),
	Controls: []string{"FRT-04"},
}

var proxyHostHeaders = Protection{
	ID:       "proxy-host-headers",
	Title:    "Matomo takes its own name from no header of a proxy",
	Part:     SettingPart,
	Remove:   `sed -i '/^\[General\]/a proxy_host_headers[] = "HTTP_X_FORWARDED_HOST"' $STATE/config/config.ini.php`,
	Controls: []string{"APP-05"},
}

// forgery is a request with names that must not come back.
type forgery struct {
	what    string
	request web.Request
	names   []string
	own     bool // it is for Matomo's own name as well, which may get its page
}

// proxyHeaders are those in which proxies tell what a client asked for. %s
// stands for the name.
var proxyHeaders = [][2]string{
	{"X-Forwarded-Host", "%s"}, {"X-Host", "%s"}, {"X-Forwarded-Server", "%s"}, {"X-HTTP-Host-Override", "%s"}, {"X-Original-Host", "%s"}, {"X-Real-Host", "%s"},
	{"Forwarded", "for=192.0.2.7;host=%s;proto=https"}, {"X-Original-URL", "https://%s/"}, {"X-Rewrite-URL", "https://%s/"}, {"X-Forwarded-Proto", "https://%s/"}, {"X-Forwarded-Prefix", "//%s"},
	{"X-Forwarded-Port", "443@%s"}, {"X-Url-Scheme", "https://%s"}, {"Via", "1.1 %s"}, {"Base-Url", "https://%s/"},
}

// forgeries are the ways to say another name than Matomo's own. secure and
// plain say what the front speaks.
func forgeries(own, evil string, secure, plain bool) []forgery {
	var all []forgery
	add := func(what string, r web.Request, own bool, names ...string) {
		all = append(all, forgery{what, r, names, own})
	}
	add("another name", web.Request{Host: evil}, false, evil)
	// Matomo compares the ends of names.
	add("another name that ends as Matomo's", web.Request{Host: "x" + own}, false, "x"+own)
	add("another name with Matomo's in the request line", web.Request{Target: "https://" + own + "/index.php", Host: "x" + own, ServerName: own}, true, "x"+own)
	add("another name in Matomo's handshake", web.Request{Host: evil, ServerName: own}, false, evil)
	add("another name that ends as Matomo's, in Matomo's handshake", web.Request{Host: "x" + own, ServerName: own}, false, "x"+own)
	add("a name below Matomo's", web.Request{Host: evil + "." + own, ServerName: own}, false, evil)
	add("Matomo's name below another", web.Request{Host: own + "." + evil, ServerName: own}, false, evil)
	add("another name, none in the handshake", web.Request{Host: evil, ServerName: "127.0.0.1"}, false, evil)
	for _, sign := range []string{evil + ":443", evil + ".", strings.ToUpper(evil), own + "@" + evil, own + ":@" + evil, own + ":443@" + evil, own + ":80." + evil, own + "#" + evil, own + "/" + evil, own + `\` + evil, own + "?" + evil, own + " " + evil, own + "\t" + evil, own + "," + evil, own + "_." + evil, own + "\x00" + evil, "[" + own + "]" + evil, evil + "%00" + own} {
		add("another name with signs", web.Request{Host: sign, ServerName: own}, false, evil)
	}
	add("two names", web.Request{Host: own, Header: [][2]string{{"Host", evil}}}, true, evil)
	add("two names", web.Request{Host: evil, Header: [][2]string{{"Host", own}}, ServerName: own}, true, evil)
	add("a name on a second line", web.Request{Host: own + "\r\n " + evil, ServerName: own}, true, evil)
	add("a name with a blank before its colon", web.Request{Host: own, Header: [][2]string{{"Host ", evil}}}, true, evil)
	add("another name than in the request line", web.Request{Target: "https://" + own + "/index.php", Host: evil, ServerName: own}, true, evil)
	add("another name in the request line", web.Request{Target: "https://" + evil + "/index.php", Host: own}, true, evil)
	add("another name in a request line without scheme", web.Request{Target: "//" + evil + "/index.php", Host: own}, true, evil)
	add("no name", web.Request{NoHost: true, Host: own}, false)
	add("no name", web.Request{NoHost: true, Host: own, Version: "HTTP/1.0"}, false)
	add("another name", web.Request{Host: evil, ServerName: own, Version: "HTTP/1.0"}, false, evil)
	var told [][2]string
	var names []string
	for i, header := range proxyHeaders {
		names = append(names, fmt.Sprintf("%d-%s", i, evil))
		told = append(told, [2]string{header[0], fmt.Sprintf(header[1], names[i])})
	}
	add("names in headers of proxies", web.Request{Host: own, Header: told}, true, names...)
	if secure {
		add("another name", web.Request{Host: evil, ServerName: own, HTTP2: true}, false, evil)
		add("another name that ends as Matomo's", web.Request{Host: "x" + own, ServerName: own, HTTP2: true}, false, "x"+own)
		add("two names", web.Request{Host: own, Header: [][2]string{{"host", evil}}, HTTP2: true}, true, evil)
		add("another name with signs", web.Request{Host: own + "@" + evil, ServerName: own, HTTP2: true}, false, evil)
		add("another name, no authority", web.Request{Host: own, NoHost: true, Header: [][2]string{{"host", evil}}, HTTP2: true}, false, evil)
		add("another name in the path", web.Request{Target: "https://" + evil + "/index.php", Host: own, HTTP2: true}, true, evil)
		add("names in headers of proxies", web.Request{Host: own, Header: told, HTTP2: true}, true, names...)
	}
	if secure && plain {
		add("another name", web.Request{Plain: true, Host: evil}, false, evil)
		add("another name that ends as Matomo's", web.Request{Plain: true, Host: "x" + own}, false, "x"+own)
		add("another name with signs", web.Request{Plain: true, Host: own + ":@" + evil}, false, evil)
		add("another name with signs", web.Request{Plain: true, Host: own + ":443@" + evil}, false, evil)
		add("two names", web.Request{Plain: true, Host: own, Header: [][2]string{{"Host", evil}}}, true, evil)
		add("another name than in the request line", web.Request{Plain: true, Target: "http://" + own + "/index.php", Host: evil}, true, evil)
		add("another name in the request line", web.Request{Plain: true, Target: "http://" + evil + "/index.php", Host: own}, true, evil)
		add("another name in the path", web.Request{Plain: true, Target: "//" + evil + "/%2e%2e", Host: own}, true, "https://"+evil, "https:////")
		add("names in headers of proxies", web.Request{Plain: true, Host: own, Header: told}, true, names...)
	}
	return all
}

func (v visitor) forge(ctx context.Context, f forgery) error {
	if f.request.Target == "" {
		f.request.Target = v.t.URLPath("/index.php")
	}
	var shown []string
	for _, name := range f.names {
		shown = append(shown, regexp.QuoteMeta(name))
	}
	if !f.own {
		shown = append(shown, `content="Matomo`, "piwik_url")
	}
	again := again{pattern: strings.Join(shown, "|")}
	_, err := v.try(ctx, "say "+f.what, f.request, again, func(a reply) string {
		for _, name := range f.names {
			if where := a.first(name); where != "" {
				return name + " came back " + where
			}
		}
		if !f.own && a.shows() {
			return "a name that is not Matomo's got its page"
		}
		return ""
	})
	return err
}
