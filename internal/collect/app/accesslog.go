package app

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// logBytes caps what is read of all access logs together, unpacked, the newest
// files first.
const logBytes = 64 << 20

// lineLimit caps a line of a log; a longer one is passed over.
const lineLimit = 64 << 10

// logTraces are the requests that name a plugin.
type logTraces struct {
	read bool // at least one log was
	of   map[string]trace
}

type trace struct {
	count int
	last  time.Time
}

// readLogs looks for requests since a time, by plugin. Bodies of requests are
// in no log: this sees a part of the use only.
func readLogs(ctx context.Context, paths []string, since time.Time) logTraces {
	found := logTraces{of: map[string]trace{}}
	type log struct {
		path    string
		changed time.Time
	}
	var logs []log
	for _, path := range withRotated(paths) {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.ModTime().After(since) {
			logs = append(logs, log{path, info.ModTime()})
		}
	}
	slices.SortFunc(logs, func(a, b log) int {
		return cmp.Or(b.changed.Compare(a.changed), strings.Compare(a.path, b.path))
	})
	left := int64(logBytes)
	for _, l := range logs {
		if ctx.Err() != nil || left <= 0 {
			break
		}
		n, err := found.readFile(l.path, since, left)
		found.read = found.read || err == nil
		left -= n
	}
	return found
}

// withRotated adds what logrotate(8) made of the logs: "access.log.1",
// "access.log.2.gz", "access.log-20261122.gz".
func withRotated(paths []string) []string {
	all := slices.Clone(paths)
	for _, path := range paths {
		for _, suffix := range []string{".[0-9]*", "-[0-9]*"} {
			rotated, _ := filepath.Glob(escapePattern(path) + suffix)
			all = append(all, rotated...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// readFile reads the end of a log, or all of a gzipped one, up to limit bytes.
func (f *logTraces) readFile(path string, since time.Time, limit int64) (int64, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, os.ErrInvalid
	}
	var reader io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		if reader, err = gzip.NewReader(file); err != nil {
			return 0, err
		}
	} else if skip := info.Size() - limit; skip > 0 {
		if _, err := file.Seek(skip, io.SeekStart); err != nil {
			return 0, err
		}
	}
	counted := &io.LimitedReader{R: reader, N: limit}
	lines := bufio.NewReaderSize(counted, lineLimit)
	for {
		line, err := lines.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) {
			line = nil
			_, err = lines.ReadSlice('\n')
		}
		f.line(line, since)
		if err != nil {
			return limit - counted.N, nil // what there is of a broken one counts
		}
	}
}

var (
	namesPlugin = regexp.MustCompile(`[?&](?:module|method|moduleToWidgetize)=([A-Z][A-Za-z0-9]{1,60})`)
	dateOfLine  = regexp.MustCompile(`\[(\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\]`)
	statusOf    = regexp.MustCompile(`" ([1-5]\d\d) `)
)

// line counts a line of an access log in the combined format of nginx and
// Apache. Requests that were refused are no use.
func (f *logTraces) line(line []byte, since time.Time) {
	if !bytes.Contains(line, []byte("module=")) && !bytes.Contains(line, []byte("method")) && !bytes.Contains(line, []byte("ping=1")) {
		return
	}
	_, rest, quoted := bytes.Cut(line, []byte(`"`))
	request, _, ended := bytes.Cut(rest, []byte(`"`))
	if !quoted || !ended {
		return
	}
	if status := statusOf.FindSubmatch(rest); status != nil && status[1][0] > '3' {
		return
	}
	date := dateOfLine.FindSubmatch(line)
	if date == nil {
		return
	}
	at, err := time.Parse("02/Jan/2006:15:04:05 -0700", string(date[1]))
	if err != nil || at.Before(since) {
		return
	}
	for _, name := range named(string(request)) {
		t := f.of[name]
		t.count++
		if at.After(t.last) {
			t.last = at.UTC()
		}
		f.of[name] = t
	}
}

// named lists the plugins that a request names; one of several API calls at
// once names them in encoded parameters.
func named(request string) []string {
	texts := []string{request}
	if decoded, err := url.QueryUnescape(request); err == nil && decoded != request {
		texts = append(texts, decoded)
	}
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, text := range texts {
		for _, match := range namesPlugin.FindAllStringSubmatch(text, 50) {
			add(match[1])
		}
		// The value of urls[] is a query without its question mark.
		for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == '&' || r == '?' }) {
			_, query, bulk := strings.Cut(part, "]=")
			if match := namesPlugin.FindStringSubmatch("?" + query); bulk && match != nil {
				add(match[1])
			}
		}
		if strings.Contains(text, "ping=1") && strings.Contains(text, ".php") {
			add("Heartbeat")
		}
	}
	return names
}
