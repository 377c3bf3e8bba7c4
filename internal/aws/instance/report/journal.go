package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"rocca/internal/run"
)

// Of the journal, one report reads this much at most; the next goes on there.
const (
	mostEntries = 20_000
	mostLine    = 1 << 20  // bytes of an entry as journalctl writes it
	mostMessage = 64 << 10 // bytes that are sent of a message
)

// entry is one of the journal.
type entry struct {
	cursor string // its place
	at     time.Time
	event
}

// event is what is sent of an entry, as JSON: CloudWatch then knows the fields.
// They are those that a process cannot choose for itself, but for the message.
type event struct {
	Unit     string `json:"unit,omitempty"`
	Program  string `json:"program,omitempty"`
	Priority int    `json:"priority"` // 0 emergency to 7 debug: syslog(3)
	Message  string `json:"message"`
}

// What of a journal is sent. Access logs are no part of it: they are files, and
// the addresses of visitors in them are not to leave the server.
var (
	units    = []string{"nginx.service", "apache2.service", "mariadb.service"} // and those of rocca
	programs = []string{"sshd", "sshd-session", "sudo"}                        // whatever unit they run in
)

// warning is the least serious priority of what the kernel says that is sent.
const warning = 4

func (e event) wanted() bool {
	return strings.HasPrefix(e.Unit, "rocca-") || slices.Contains(units, e.Unit) || slices.Contains(programs, e.Program) ||
		e.Program == kernel && e.Priority <= warning
}

const kernel = "kernel"

// fields are those that journalctl has to write; the place and the time are
// always there.
const fields = "_SYSTEMD_UNIT,UNIT,_PID,_COMM,_TRANSPORT,PRIORITY,MESSAGE"

// cursorForm is a place in the journal: sd_journal_get_cursor(3) has it opaque,
// but not without limits.
var cursorForm = regexp.MustCompile(`^[a-z]=[0-9a-f]+(;[a-z]=[0-9a-f]+)+$`)

// decodeEntry reads a line of journalctl --output=json.
func decodeEntry(line []byte) (entry, error) {
	var read struct {
		Cursor    string `json:"__CURSOR"`
		Time      string `json:"__REALTIME_TIMESTAMP"` // microseconds
		Unit      field  `json:"_SYSTEMD_UNIT"`
		About     field  `json:"UNIT"` // of which systemd speaks
		PID       field  `json:"_PID"`
		Program   field  `json:"_COMM"`
		Transport field  `json:"_TRANSPORT"`
		Priority  field  `json:"PRIORITY"`
		Message   field  `json:"MESSAGE"`
	}
	if err := json.Unmarshal(line, &read); err != nil {
		return entry{}, fmt.Errorf("read an entry of the journal: %w", err)
	}
	microseconds, err := strconv.ParseInt(read.Time, 10, 64)
	if err != nil || microseconds < 0 || !cursorForm.MatchString(read.Cursor) {
		return entry{}, errors.New("read an entry of the journal: it has no place or no time")
	}
	e := entry{cursor: read.Cursor, at: time.UnixMicro(microseconds), event: event{Unit: string(read.Unit), Program: string(read.Program), Priority: 6, Message: string(read.Message)}}
	if read.PID == "1" && read.About != "" {
		e.Unit = string(read.About)
	}
	if read.Transport == kernel {
		e.Unit, e.Program = "", kernel
	}
	if n, err := strconv.Atoi(string(read.Priority)); err == nil && n >= 0 && n <= 7 {
		e.Priority = n
	}
	if len(e.Message) > mostMessage {
		e.Message = strings.ToValidUTF8(e.Message[:mostMessage], "") + " [cut]"
	}
	return e, nil
}

// field is a text as journalctl writes it in JSON: a string, the numbers of its
// bytes when they are no text, or a list of these when it was given repeatedly.
type field string

// UnmarshalJSON reads any of the forms. null is an empty text.
func (f *field) UnmarshalJSON(raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		*f = field(text)
		return nil
	}
	var numbers []uint16 // of bytes; []byte would want base64
	if json.Unmarshal(raw, &numbers) == nil {
		var b strings.Builder
		for _, n := range numbers {
			b.WriteByte(byte(n))
		}
		*f = field(strings.ToValidUTF8(b.String(), "\uFFFD"))
		return nil
	}
	var several []field
	if err := json.Unmarshal(raw, &several); err != nil {
		return err
	}
	*f = ""
	for i, one := range several {
		if i > 0 {
			*f += "\n"
		}
		*f += one
	}
	return nil
}

// errEnough ends journalctl when there is more than one report may read.
var errEnough = errors.New("enough was read")

// read is what was found in the journal.
type read struct {
	entries []entry // that are wanted
	cursor  string  // place of the last entry, wanted or not; empty: there is none
	broken  int     // lines that are no entry

	most int // entries
	seen int
	stop context.CancelCauseFunc
	line []byte // not yet whole
	skip bool   // the line is too long
}

// readJournal reads what is after a place; without one, from the beginning.
// With an error comes what was read before it.
func (r *reporter) readJournal(ctx context.Context, after string, most int) (*read, error) {
	argv := []string{r.journalctl, "--output=json", "--all", "--output-fields=" + fields, "--no-pager", "--quiet"}
	if after != "" {
		argv = append(argv, "--after-cursor="+after)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	found := &read{most: most, stop: stop}
	_, err := run.Do(ctx, run.Command{Argv: argv, Output: found})
	if err != nil && !errors.Is(err, errEnough) {
		return found, fmt.Errorf("read the journal: %w", err)
	}
	return found, nil
}

// Write takes what journalctl writes, in pieces.
func (r *read) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && r.seen < r.most; {
		piece, after, whole := bytes.Cut(rest, []byte("\n"))
		if r.skip = r.skip || len(r.line)+len(piece) > mostLine; !r.skip {
			r.line = append(r.line, piece...)
		}
		if whole {
			r.take()
		}
		rest = after
	}
	return len(p), nil
}

// take reads a whole line.
func (r *read) take() {
	e, err := decodeEntry(r.line)
	if r.skip {
		err = errors.New("too long")
	}
	r.line, r.skip = r.line[:0], false
	if err != nil {
		r.broken++
		return
	}
	r.cursor = e.cursor
	if e.wanted() {
		r.entries = append(r.entries, e)
	}
	if r.seen++; r.seen == r.most {
		r.stop(errEnough)
	}
}
