package prove

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"rocca/internal/prove/fastcgi"
	"rocca/internal/prove/web"
)

// What follows writes commands for Try.Reproduce: PHP's own program is on every
// server that runs Matomo, and knows TLS and Unix sockets.

// shellWord quotes a text for sh.
func shellWord(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

func base64Text(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// tidily is a command that sets something up, tries, cleans up, and ends as the
// try did. Empty steps are left out.
func tidily(setUp []string, try string, cleanUp ...string) string {
	steps := slices.Concat(setUp, []string{try, "c=$?"}, cleanUp, []string{"exit $c"})
	steps = slices.DeleteFunc(steps, func(step string) bool { return step == "" })
	return "sh -c " + shellWord(strings.Join(steps, "; "))
}

// askAgain is a command that makes a request of the front, and prints the answer.
func (t *Target) askAgain(r web.Request) string {
	if r.Host == "" {
		r.Host = t.web.Name
	}
	address := "tcp://" + t.FrontAddress(r.Plain)
	if t.TLS() && !r.Plain {
		address = "ssl://" + t.FrontAddress(false)
	}
	return sendAgain(address, r.Host, web.Encode(r))
}

// speakAgain is a command that makes a request of a pool by FastCGI, and prints
// the answer.
func speakAgain(listen string, r fastcgi.Request) string {
	address := "tcp://" + fastcgi.Address(listen)
	if strings.HasPrefix(listen, "/") {
		address = "unix://" + listen
	}
	return sendAgain(address, "", fastcgi.Encode(r))
}

// sendAgain is a command that sends bytes somewhere. name is that of TLS, whose
// certificate is not checked.
func sendAgain(address, name string, sent []byte) string {
	secure := ""
	if strings.HasPrefix(address, "ssl:") {
		secure = fmt.Sprintf(`,9,4,stream_context_create(["ssl"=>["verify_peer"=>false,"verify_peer_name"=>false,"peer_name"=>"%s"]])`, name)
	}
	return "php -n -r " + shellWord(fmt.Sprintf(`$s=stream_socket_client("%s",$n,$e%s)or exit(1);fwrite($s,base64_decode("%s"));echo stream_get_contents($s);`,
		address, secure, base64Text(string(sent))))
}

// writeAgain is a command that writes a file.
func writeAgain(name, content string) string {
	return "printf %b " + shellWord(strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(content)) + " >" + shellWord(name)
}
