package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// stallTime is how long a download may go without a byte.
const stallTime = 60 * time.Second

var (
	errNotFound = errors.New("there is no such file")
	errNoBytes  = fmt.Errorf("nothing came for %s", stallTime)
)

// download copies what is at a URL to a writer and gives up at limit bytes. It
// returns errNotFound when the server says so.
func download(ctx context.Context, client *http.Client, from string, limit int64, to io.Writer, progress func(done, total int64)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(stallTime, func() { cancel(errNoBytes) })
	defer stalled.Stop()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return fmt.Errorf("download %s: %w", from, err)
	}
	request.Header.Set("User-Agent", "rocca") // the vendor's CDN refuses some libraries' own
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("download %s: %w", from, cause(ctx, err))
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusGone:
		return fmt.Errorf("download %s: %w", from, errNotFound)
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("download %s: the server answers %s", from, response.Status)
	}
	counted := &progressWriter{to: to, total: response.ContentLength, report: func(done, total int64) {
		stalled.Reset(stallTime)
		progress(done, total)
	}}
	n, err := io.Copy(counted, io.LimitReader(response.Body, limit+1))
	switch {
	case err != nil:
		return fmt.Errorf("download %s: %w", from, cause(ctx, err))
	case n > limit:
		return fmt.Errorf("download %s: it has more than %d bytes", from, limit)
	}
	return nil
}

// cause prefers the reason of a cancelled context over what the network said.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var request *url.Error // says once more what was asked for
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}

type progressWriter struct {
	to          io.Writer
	done, total int64
	report      func(done, total int64)
}

func (w *progressWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.done += int64(n)
	w.report(w.done, w.total)
	return n, err
}

// withoutDowngrade returns a client that does not follow a redirect from https
// to http.
func withoutDowngrade(client *http.Client) *http.Client {
	strict := *client
	strict.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if via[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
			return fmt.Errorf("the server leads from https to %s", next.URL.Redacted())
		}
		if len(via) >= 10 {
			return errors.New("the server leads on more than ten times")
		}
		return nil
	}
	return &strict
}
