package prove

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/model"
	"rocca/internal/prove/web"
)

// visitor is an attacker who has nothing but the network, and an address of his
// own.
type visitor struct {
	t      *Target
	record *Record
	from   netip.Addr
}

func (t *Target) visitor(attack byte, record *Record) (visitor, error) {
	from, err := t.own(attack)
	return visitor{t, record, from}, err
}

// reply is what the front made of a request: an answer, or none when it ended
// the handshake, the connection or the stream instead.
type reply struct {
	web.Response
	ended error
}

// errLimited is of a front that asks to come back later: it says nothing about
// what was asked.
var errLimited = errors.New("the front limits how often it may be asked")

// ask makes a request. An error says that nothing came of it that could be
// judged.
func (v visitor) ask(ctx context.Context, r web.Request) (reply, error) {
	if !r.From.IsValid() && strings.HasPrefix(v.t.FrontAddress(r.Plain), "127.") {
		r.From = v.from
	}
	answer, err := v.t.Ask(ctx, r)
	switch {
	case answer.Status == http.StatusTooManyRequests:
		return reply{}, errLimited
	case answer.Status != 0:
		return reply{Response: answer}, nil // however its body ended
	case web.Refused(err):
		return reply{ended: err}, nil
	}
	return reply{}, err
}

// try asks, and writes down what judge finds in the answer: what it gives away,
// "" when that is nothing. It tells whether the try fell.
func (v visitor) try(ctx context.Context, what string, r web.Request, again again, judge func(reply) string) (bool, error) {
	r = v.addressed(r)
	answer, err := v.ask(ctx, r)
	if err != nil {
		return false, err
	}
	why := judge(answer)
	v.wrote(what, r, answer, why, again)
	return why != "", nil
}

// addressed is a request for Matomo's own name, where it is for no other.
func (v visitor) addressed(r web.Request) web.Request {
	if r.Host == "" {
		r.Host = v.t.Name()
	}
	return r
}

// again is how somebody else sees it.
type again struct {
	setUp   string // for sh: makes what is asked for
	undo    string // for sh
	pattern string // of Perl: what shows it in the answer
	lacking string // or: what the header of the answer lacks
}

// wrote writes a try down.
func (v visitor) wrote(what string, r web.Request, answer reply, why string, again again) {
	try := model.Try{Who: "visitor", What: what, Where: v.where(r), Sent: sent(r), Answer: answer.short(), Fell: why != ""}
	if try.Fell {
		try.Note = why
		try.Reproduce = v.reproduce(r, again)
	}
	v.record.Try(try)
}

// where is what is asked, for readers.
func (v visitor) where(r web.Request) string {
	protocol := "HTTP/1.1"
	if r.HTTP2 {
		protocol = "HTTP/2"
	}
	over := "TLS"
	if r.Plain || !v.t.TLS() {
		over = "no TLS"
	}
	return fmt.Sprintf("%s by %s, %s", v.t.FrontAddress(r.Plain), protocol, over)
}

// sent is a request, for readers.
func sent(r web.Request) string {
	if !r.HTTP2 {
		return fmt.Sprintf("%.400q", web.Encode(r))
	}
	return fmt.Sprintf(":method %s :authority %q :path %q %q", cmp.Or(r.Method, http.MethodGet), r.Host, r.Target, r.Header)
}

// short is an answer, for readers: it shows no contents.
func (a reply) short() string {
	if a.ended != nil {
		return "no answer: " + a.ended.Error()
	}
	text := fmt.Sprintf("%d, %d bytes of %q", a.Status, len(a.Body), a.Header.Get("Content-Type"))
	for _, name := range []string{"Location", "Server"} {
		if value := a.Header.Get(name); value != "" {
			text += fmt.Sprintf(", %s: %s", name, value)
		}
	}
	return text
}

// reproduce is a command that makes a request and looks into the answer.
func (v visitor) reproduce(r web.Request, a again) string {
	line := v.t.visitAgain(r) + " | LC_ALL=C grep -aiP -m3 " + shellWord(a.pattern)
	if a.lacking != "" {
		line = "( head=$(" + v.t.visitAgain(r) + ` | LC_ALL=C sed '/^\r*$/q'); echo "$head"; ! echo "$head" | LC_ALL=C grep -aqiP ` + shellWord(a.lacking) + " )"
	}
	if a.setUp == "" {
		return line
	}
	return "( trap " + shellWord(a.undo) + " EXIT; " + a.setUp + "; " + line + " )"
}

// visitAgain is a command that makes a request of the front as it was made, and
// prints the answer: by HTTP/2 its frames.
func (t *Target) visitAgain(r web.Request) string { return t.visitWith(r, "%s") }

// visitWith is visitAgain with what it sends made by PHP; %s stands for the bytes
// of the request.
func (t *Target) visitWith(r web.Request, made string) string {
	if r.Host == "" {
		r.Host = t.web.Name
	}
	protocol, bytes := "http/1.1", web.Encode(r)
	if r.HTTP2 {
		if second, err := web.Encode2(r); err == nil {
			protocol, bytes = "h2", second
		}
	}
	name := r.ServerName
	if name == "" {
		name, _, _ = strings.Cut(r.Host, ":")
	}
	from := ""
	if r.From.IsValid() {
		from = fmt.Sprintf(`,"socket"=>["bindto"=>"%s:0"]`, r.From)
	}
	code := fmt.Sprintf(`$c=stream_context_create(["ssl"=>["verify_peer"=>false,"verify_peer_name"=>false,"peer_name"=>"%s","alpn_protocols"=>"%s"]%s]);`+
		`$s=@stream_socket_client("%s",$n,$e,9,4,$c) or exit(1);fwrite($s,%s);stream_set_timeout($s,2);echo stream_get_contents($s);`,
		plainName.ReplaceAllString(name, ""), protocol, from, t.stream(r.Plain), fmt.Sprintf(made, `base64_decode("`+base64Text(string(bytes))+`")`))
	return "php -n -r " + shellWord(code)
}

// stream is where the front listens, as streams of PHP name it.
func (t *Target) stream(plain bool) string {
	if t.TLS() && !plain {
		return "ssl://" + t.FrontAddress(false)
	}
	return "tcp://" + t.FrontAddress(plain)
}

// plainName matches what no name in a handshake has.
var plainName = regexp.MustCompile(`[^A-Za-z0-9_.:\[\]-]`)

// first finds a word in an answer, in its headers or its body, and says where.
func (a reply) first(word string) string {
	word = strings.ToLower(word)
	for name, values := range a.Header {
		for _, value := range values {
			if strings.Contains(strings.ToLower(value), word) {
				return "in the header " + name
			}
		}
	}
	if strings.Contains(strings.ToLower(string(a.Body)), word) {
		return "in the body"
	}
	return ""
}

// shows tells whether an answer is a page of Matomo, and not that of a front
// that refuses.
func (a reply) shows() bool {
	body := string(a.Body)
	return a.Status >= 200 && a.Status < 400 && slices.ContainsFunc([]string{`content="Matomo`, "form_password", "piwik_url", "This resource is part of Matomo", "<title>Matomo"}, func(mark string) bool { return strings.Contains(body, mark) })
}
