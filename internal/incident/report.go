package incident

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// notice is how long Art. 33(1) GDPR gives from when the controller became
// aware of a breach until the authority is told.
const notice = 72 * time.Hour

// Clock is how the time for telling the authority stands.
type Clock struct {
	Known time.Time
	Until time.Time
	Left  time.Duration // negative: over
}

// Clock tells it as of a time.
func (s Story) Clock(now time.Time) Clock {
	until := s.About.Known.Add(notice)
	return Clock{s.About.Known, until, until.Sub(now)}
}

// Sentence says how much time is left.
func (c Clock) Sentence() string {
	span := c.Left.Abs().Round(time.Minute)
	text := fmt.Sprintf("%d h %02d min", int(span.Hours()), int(span.Minutes())%60)
	if c.Left < 0 {
		return "over since " + text + ": a later notice must say why it is late (Art. 33(1))"
	}
	return text + " left"
}

// asked are what Art. 33(3) asks for, in its order.
var asked = []struct {
	Fact     Fact
	Letter   string
	Question string
	Hint     string
}{
	{Nature, "a", "Nature of the breach", "confidentiality, integrity or availability; what was read, changed or lost"},
	{Subjects, "a", "People: categories and about how many", "visitors of the measured sites, users of Matomo"},
	{Records, "a", "Records: categories and about how many", "visits, log-ins, reports; the record step counted what is there"},
	{Contact, "b", "Who can be asked", "name and contact of the data protection officer"},
	{Consequences, "c", "Likely consequences", "for the people, not for the company"},
	{Measures, "d", "Measures taken and proposed", "those that rocca took are listed above; add what was decided"},
}

// answer is one of asked as far as it is known.
type answer struct {
	Letter, Question, Text, Hint string
}

func (s Story) answers() []answer {
	var all []answer
	for _, a := range asked {
		all = append(all, answer{a.Letter, a.Question, s.Facts[a.Fact], a.Hint})
	}
	return all
}

// chapter is a phase with its steps.
type chapter struct {
	Phase  Phase
	Steps  []Stage
	Person []string
}

// Title is the phase with a capital.
func (c chapter) Title() string {
	return strings.ToUpper(string(c.Phase)[:1]) + string(c.Phase)[1:]
}

func (s Story) chapters() []chapter {
	var all []chapter
	for _, phase := range Phases() {
		c := chapter{Phase: phase}
		for _, stage := range s.Steps {
			if stage.Phase == phase {
				c.Steps = append(c.Steps, stage)
				c.Person = append(c.Person, stage.Person...)
			}
		}
		if phase == Recover && !s.released() {
			c.Person = append(c.Person, "When the hole is closed, or the server was built anew from what is known to be good: put back what was cut off (release), and watch it.")
		}
		all = append(all, c)
	}
	return all
}

// released tells whether what was cut off is being put back.
func (s Story) released() bool {
	return slices.ContainsFunc(s.Steps, func(stage Stage) bool { return strings.HasPrefix(stage.ID, "release-") && stage.State != Waiting })
}

// moments are the lines of the timeline: what a reader wants to know of when.
// That evidence was taken is in a list of its own, with its hash here, too.
func (s Story) moments() []moment {
	titles := map[string]string{}
	for _, stage := range s.Steps {
		titles[stage.ID] = stage.Title
	}
	var all []moment
	for _, e := range s.Timeline {
		m := moment{At: e.At, Who: e.Who, Hash: e.hash, Kind: string(e.Kind), What: e.Text}
		title := titles[e.Step]
		switch e.Kind {
		case opened:
			m.What = "Case opened: " + s.About.Subject
			if s.About.Reason != "" {
				m.What += ". Noticed: " + s.About.Reason
			}
		case resumed:
			m.What = "Work on the case goes on (" + e.Text + ")"
		case planned, saved:
			continue
		case started, done:
			m.What = title
		case failed, skips, held:
			m.What = title + ": " + e.Text
		case took:
			m.What = fmt.Sprintf("%s, %s, by %s", e.Evidence.Name, size(e.Evidence.Size), e.Evidence.By)
		case missed, known:
			m.What = e.Key + ": " + e.Text
		case released:
			m.What = "What was cut off is back"
		}
		all = append(all, m)
	}
	return all
}

// moment is a line of the timeline.
type moment struct {
	At                    time.Time
	Who, Kind, What, Hash string
}

func size(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

const clockFormat = "2006-01-02 15:04:05"

// state is how a step ended, in words.
func (s Stage) state() string {
	words := map[State]string{Waiting: "not begun", Begun: "begun, not ended", Done: "done", Skipped: "nothing to do", Failed: "FAILED", Held: "HELD BACK"}[s.State]
	if s.Why != "" {
		words += ": " + s.Why
	}
	return words
}

// Report writes the case as Markdown, as of a time.
func (s Story) Report(w io.Writer, now time.Time) error {
	b := &strings.Builder{}
	clock := s.Clock(now)
	fmt.Fprintf(b, "# Incident %s\n\n", plain(s.ID))
	if s.About.Rehearsal {
		b.WriteString("**A rehearsal: nothing of this was an attack.**\n\n")
	}
	rows := [][2]string{
		{"System", s.About.Subject}, {"Noticed", s.About.Reason}, {"Known since", stamp(s.About.Known)},
		{"Case opened", stamp(s.Opened)}, {"By", s.About.Operator}, {"Released", stamp(s.Released)},
		{"Report of", stamp(now)}, {"Made by", strings.TrimSpace(s.About.Verb + " " + s.About.Version)},
		{"Head of the chain", "`" + s.Head + "`"},
	}
	b.WriteString("| | |\n|---|---|\n")
	for _, row := range rows {
		if row[1] != "" {
			fmt.Fprintf(b, "| %s | %s |\n", row[0], plain(row[1]))
		}
	}
	b.WriteString("\nKeep the head of the chain somewhere else: with it, `" + s.About.Verb + " status --verify` tells whether any line of this case was changed later.\n")

	if !s.About.Rehearsal {
		fmt.Fprintf(b, "\n## The authority must be told by %s\n\n", stamp(clock.Until))
		fmt.Fprintf(b, "As of this report: %s. %s\n\n", clock.Sentence(), law)
		b.WriteString("| Art. 33(3) | as far as known |\n|---|---|\n")
		for _, a := range s.answers() {
			text := plain(a.Text)
			if a.Text == "" {
				text = "*not known yet* (" + a.Hint + ")"
			}
			fmt.Fprintf(b, "| (%s) %s | %s |\n", a.Letter, a.Question, text)
		}
	}

	b.WriteString("\n## The six phases\n")
	for _, c := range s.chapters() {
		fmt.Fprintf(b, "\n### %s\n\n%s\n\n", c.Title(), c.Phase.Sentence())
		for _, stage := range c.Steps {
			box := " "
			if stage.State == Done || stage.State == Skipped {
				box = "x"
			}
			fmt.Fprintf(b, "- [%s] %s: %s\n", box, stage.Title, plain(stage.state()))
		}
		for _, task := range c.Person {
			fmt.Fprintf(b, "- [ ] *for a person:* %s\n", task)
		}
		if len(c.Steps)+len(c.Person) == 0 {
			b.WriteString("- nothing\n")
		}
	}

	b.WriteString("\n## Not taken\n\n")
	for _, gap := range s.NotTaken {
		fmt.Fprintf(b, "- %s: %s\n", plain(gap.What), plain(gap.Why))
	}
	if len(s.NotTaken) == 0 {
		b.WriteString("Nothing that was looked for is missing.\n")
	}

	b.WriteString("\n## Changed, and how to take it back\n\n")
	for _, m := range s.Changes {
		undo := m.Undo
		if undo == "" {
			undo = "cannot be taken back"
		}
		fmt.Fprintf(b, "- %s %s (%s)\n", stamp(m.At), plain(m.What), plain(undo))
	}
	if len(s.Changes) == 0 {
		b.WriteString("Nothing was changed.\n")
	}

	b.WriteString("\n## Evidence\n\n")
	if len(s.Evidence) > 0 {
		b.WriteString("| taken (UTC) | file | size | by | SHA-256 |\n|---|---|---:|---|---|\n")
	}
	for _, e := range s.Evidence {
		fmt.Fprintf(b, "| %s | %s | %s | %s | `%s` |\n", e.At.UTC().Format(clockFormat), plain(e.Name), size(e.Size), plain(e.By), e.SHA256)
	}
	if len(s.Evidence) == 0 {
		b.WriteString("None.\n")
	}

	b.WriteString("\n## Timeline\n\n| when (UTC) | who | | what | hash |\n|---|---|---|---|---|\n")
	for _, m := range s.moments() {
		fmt.Fprintf(b, "| %s | %s | %s | %s | `%.12s` |\n", m.At.UTC().Format(clockFormat), plain(m.Who), m.Kind, plain(m.What), m.Hash)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// law is what the clock is about, in one paragraph.
const law = "A breach of personal data is told to the supervisory authority within 72 hours of when it became known, " +
	"unless it is unlikely to be a risk for anybody (Art. 33 GDPR); what is not known yet may follow in phases (Art. 33(4)). " +
	"When the risk for people is high, they are told too, without undue delay (Art. 34). Each breach is documented, told or not (Art. 33(5))."

// plain makes text safe in a line or a cell of Markdown: evidence quotes what
// an intruder wrote.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "](", `]\(`).Replace(text)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

//go:embed report.html.tmpl
var page string

// HTML writes the case as one page that needs nothing else.
func (s Story) HTML(w io.Writer, now time.Time) error {
	functions := template.FuncMap{"stamp": stamp, "size": size,
		"time":  func(t time.Time) string { return t.UTC().Format(clockFormat) },
		"short": func(hash string) string { return fmt.Sprintf("%.12s", hash) },
		"words": Stage.state}
	parsed, err := template.New("report").Funcs(functions).Parse(page)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	clock := s.Clock(now)
	return parsed.Execute(w, map[string]any{
		"Story": s, "Now": now, "Clock": clock, "Left": clock.Sentence(), "Law": law,
		"Over": clock.Left < 0, "Answers": s.answers(), "Chapters": s.chapters(), "Moments": s.moments(),
	})
}

// Names of the report in the directory of its case.
const (
	Markdown = "report.md"
	Page     = "report.html"
)

// Write writes the report of a case into its directory.
func (c *Case) Write() error {
	story, now := c.Story(), c.now()
	for _, format := range []struct {
		name  string
		write func(io.Writer, time.Time) error
	}{{Markdown, story.Report}, {Page, story.HTML}} {
		path := filepath.Join(c.Dir, format.name)
		sum, length, err := writeWhole(path, func(w io.Writer) error { return format.write(w, now) })
		if err != nil {
			return fmt.Errorf("write report %s: %w", path, err)
		}
		if c.Mirror == nil {
			continue
		}
		if err := c.Mirror(Evidence{Name: format.name, SHA256: sum, Size: length, At: now, By: story.About.Verb}, path); err != nil {
			if err := c.NotTaken("copy of "+format.name, err.Error()); err != nil {
				return err
			}
		}
	}
	return nil
}
