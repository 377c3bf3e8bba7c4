package front

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"rocca/internal/facts"
)

const (
	pagesAtMost      = 10
	redirectsAtMost  = 3
	originsAtMost    = 100
	patiencePage     = 5 * time.Second // for one page with its redirects
	trackedPageLimit = 1 << 20         // bytes
)

// AskPages fetches pages of tracked sites once each, and tells from which hosts
// they load. Answers are by "page:" and the URL. What could not be seen whole
// has a Problem and no verdict. These are the only requests of an audit that
// leave this machine: the caller names the pages that its owner declared.
func AskPages(ctx context.Context, pages []string) map[string]facts.Answer {
	found := make([]facts.Answer, len(pages))
	var group sync.WaitGroup
	free := make(chan bool, atOnce)
	for i, page := range pages {
		if i >= pagesAtMost {
			found[i] = facts.Answer{Method: http.MethodGet, URL: page, Problem: fmt.Sprintf("only the first %d pages are fetched", pagesAtMost)}
			continue
		}
		free <- true
		group.Go(func() {
			found[i] = askPage(ctx, page)
			<-free
		})
	}
	group.Wait()
	answers := map[string]facts.Answer{}
	for i, page := range pages {
		answers["page:"+page] = found[i]
	}
	return answers
}

func askPage(ctx context.Context, page string) facts.Answer {
	answer := facts.Answer{Method: http.MethodGet, URL: page}
	ctx, cancel := context.WithTimeoutCause(ctx, patiencePage, fmt.Errorf("no answer in %s", patiencePage))
	defer cancel()
	response, err := get(ctx, page)
	if err != nil {
		answer.Problem = cmp.Or(context.Cause(ctx), err).Error()
		return answer
	}
	defer response.Body.Close()
	answer.Protocol, answer.Status = response.Proto, response.StatusCode
	read := reply{status: response.StatusCode, header: response.Header}
	verdict, _ := byStatus(read)
	if verdict != facts.Served {
		answer.Verdict = verdict
		return answer
	}
	if kind := read.mediaType(); kind != "text/html" && kind != "application/xhtml+xml" {
		answer.Problem = fmt.Sprintf("it is no page, but %q", kind)
		return answer
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, trackedPageLimit+1))
	switch {
	case err != nil:
		answer.Problem = "read the page: " + cmp.Or(context.Cause(ctx), err).Error()
	case len(body) > trackedPageLimit:
		answer.Problem = fmt.Sprintf("it is larger than %d MB", trackedPageLimit>>20)
	default:
		answer.Verdict, answer.Origins = verdict, loadedFrom(string(body), response.Request.URL)
	}
	return answer
}

var (
	errRedirects = fmt.Errorf("it redirects more than %d times", redirectsAtMost)
	errInside    = errors.New("it redirects to an address that is not public")
)

// get asks for a page. A redirect leads to other public hosts only: a tracked
// site must not send rocca to what this machine alone can reach.
func get(ctx context.Context, page string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return nil, err
	}
	declared := request.URL.Hostname()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			var dialer net.Dialer
			if host, _, err := net.SplitHostPort(address); err != nil || host != declared {
				dialer.Control = onlyPublic
			}
			return dialer.DialContext(ctx, network, address)
		},
		ForceAttemptHTTP2: true, DisableKeepAlives: true,
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		if len(via) > redirectsAtMost {
			return errRedirects
		}
		return nil
	}}
	request.Header.Set("User-Agent", "rocca")
	response, err := client.Do(request)
	if of := (*url.Error)(nil); errors.As(err, &of) {
		err = of.Err // without the URL, which is told anyway
	}
	return response, err
}

func onlyPublic(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ip := at.Addr().Unmap(); !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return errInside
	}
	return nil
}

var (
	scripts    = regexp.MustCompile(`(?is)<!--.*?-->|<script\b([^>]*)>(.*?)</script\s*>`)
	scriptType = regexp.MustCompile(`(?i)(?:^|\s)type\s*=\s*["']?\s*([^"'\s>]*)`)
	// What a script in the page has that loads another one, and the addresses in it.
	loader  = regexp.MustCompile(`\.src\s*=[^=]|["']src["']\s*,|\bimport\s*\(`)
	address = regexp.MustCompile("[\"'`](?:https?:|:)?(//[A-Za-z0-9.-]+[^\"'`\\s]*)")
	// Matomo's script by its usual names, and that of its tag manager.
	ownScript = regexp.MustCompile(`(?:matomo|piwik)\.(?:js|php)\b|/js/container_`)
)

// loadedFrom lists the hosts that a page loads from, its own only when Matomo's
// script comes from there. A script that is not to be run, such as one that
// waits for consent, loads nothing. The usual few lines that load a script are
// read for addresses; what that one loads in turn is not seen.
func loadedFrom(body string, page *url.URL) []string {
	var found []string
	add := func(reference string) {
		target, err := page.Parse(strings.ReplaceAll(reference, "&amp;", "&"))
		if err != nil || target.Host == "" {
			return
		}
		host := strings.ToLower(target.Hostname())
		foreign := !strings.EqualFold(host, page.Hostname())
		if (foreign || ownScript.MatchString(target.Path)) && !slices.Contains(found, host) {
			found = append(found, host)
		}
	}
	for _, match := range scripts.FindAllStringSubmatch(body, -1) {
		attributes, text := match[1], strings.ReplaceAll(match[2], `\/`, "/")
		if kind := scriptType.FindStringSubmatch(attributes); kind != nil && !runs(kind[1]) {
			continue
		}
		if source := loads.FindStringSubmatch("<script " + attributes + ">"); source != nil {
			add(source[1])
			continue
		}
		if !loader.MatchString(text) {
			continue
		}
		addresses := address.FindAllStringSubmatch(text, -1)
		for _, a := range addresses {
			add(a[1])
		}
		if script := ownScript.FindString(text); script != "" && len(addresses) == 0 {
			add(path.Join("/", script)) // from a path of the site itself
		}
	}
	rest := oneWords.ReplaceAllString(scripts.ReplaceAllString(body, " "), "")
	for _, match := range loads.FindAllStringSubmatch(rest, -1) {
		add(match[1])
	}
	slices.Sort(found)
	return found[:min(len(found), originsAtMost)]
}

// runs tells whether a browser runs a script of a type.
func runs(kind string) bool {
	kind = strings.ToLower(kind)
	return kind == "" || kind == "module" || strings.HasSuffix(kind, "javascript") || strings.HasSuffix(kind, "ecmascript")
}
