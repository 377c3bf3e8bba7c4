package incident

import (
	"fmt"
	"strings"
)

// Playbook is a verb with its steps, for the runbook.
type Playbook struct {
	Title   string
	When    string   // it is the one to take
	Begin   []string // commands, the first of which is typed first
	Steps   []Step
	Release []Step // the way back
}

// Runbook writes the steps for a person who has never seen them, at night.
func Runbook(books []Playbook) string {
	b := &strings.Builder{}
	b.WriteString(`# Runbook: what to do when Matomo was broken into

Generated from the steps that rocca runs; nothing here is done by hand unless it
says so. Read this page once now, and rehearse it: ` + "`rocca respond rehearse`" + `.

## The first five minutes

1. **Do not switch it off, do not reboot, do not delete anything.** What is in
   memory is lost with the power, and it is what tells how they came in.
2. **Write down the time.** From now on there are 72 hours to tell the authority
   if personal data is concerned (below). ` + "`--known`" + ` gives rocca the time if it was
   earlier.
3. **Do not change passwords yet.** While the intruder is on the server, new
   ones go to them as well. rocca changes them after it has cut the server off.
4. **Look first**: ` + "`--dry-run`" + ` shows everything and changes nothing.
5. **Start** with the command for your server:

`)
	for _, book := range books {
		fmt.Fprintf(b, "   - %s: [%s](#%s)\n", book.When, book.Title, anchor(book.Title))
	}
	b.WriteString(`
A step that fails is written down and the next one goes on. If the terminal
dies, type the same command again: what is done is not done again. Two people
cannot work on one case at once; the second is told who the first is.

`)
	for _, book := range books {
		book.write(b)
	}
	b.WriteString(`## Telling the authority, and the people (GDPR Art. 33 and 34)

` + law + `

The report of a case shows how many of the 72 hours are left and has a table with
what Art. 33(3) asks for: the nature of the breach, with the categories and about
how many people and records are concerned (a); who can be asked, such as the data
protection officer (b); the likely consequences (c); what was done and is
proposed (d). rocca fills in what it knows. What it cannot know is marked "not
known yet", and is added with ` + "`--fact`" + `.

Who decides whether to tell is the controller, with the data protection officer,
not the person at the terminal. If you process the data for somebody else, tell
them without undue delay (Art. 33(2)): the 72 hours are theirs.

## Afterwards

- Check the case: ` + "`rocca respond status --verify`" + `. It names any line or file that was
  changed since. Compare the head of the chain with the one you wrote down.
- Copy the case directory to where the server cannot reach it, before release.
- Build the server anew rather than clean it, when anybody was root on it.
- Write down what made this possible, what helped, and what to change. Then
  rehearse again.
`)
	return b.String()
}

func (p Playbook) write(b *strings.Builder) {
	fmt.Fprintf(b, "## %s\n\n", p.Title)
	b.WriteString("```\n" + strings.Join(p.Begin, "\n") + "\n```\n\n")
	numbers := map[string]string{}
	b.WriteString("| # | step | phase |\n|---:|---|---|\n")
	for i, s := range p.Steps {
		numbers[s.ID] = fmt.Sprint(i + 1)
		fmt.Fprintf(b, "| %d | %s | %s |\n", i+1, s.Title, s.Phase)
	}
	b.WriteString("\n")
	for i, s := range p.Steps {
		s.write(b, fmt.Sprintf("%d. %s", i+1, s.Title), numbers)
	}
	if len(p.Release) == 0 {
		return
	}
	fmt.Fprintf(b, "## %s: the way back\n\n", p.Title)
	for i, s := range p.Release {
		numbers[s.ID] = fmt.Sprintf("R%d", i+1)
		s.write(b, fmt.Sprintf("R%d. %s", i+1, s.Title), numbers)
	}
	phases := map[Phase][]string{}
	for _, s := range append(append([]Step{}, p.Steps...), p.Release...) {
		phases[s.Phase] = append(phases[s.Phase], s.Person...)
	}
	fmt.Fprintf(b, "## %s: what is left for a person, by phase\n\n", p.Title)
	for _, phase := range Phases() {
		fmt.Fprintf(b, "**%s.** %s\n\n", chapter{Phase: phase}.Title(), phase.Sentence())
		for _, task := range phases[phase] {
			fmt.Fprintf(b, "- [ ] %s\n", task)
		}
		if len(phases[phase]) == 0 {
			b.WriteString("- nothing: rocca does it\n")
		}
		b.WriteString("\n")
	}
}

func (s Step) write(b *strings.Builder, title string, numbers map[string]string) {
	fmt.Fprintf(b, "### %s\n\n*%s.* %s\n\n", title, chapter{Phase: s.Phase}.Title(), s.Why)
	if len(s.After) > 0 {
		var first []string
		for _, id := range s.After {
			first = append(first, "step "+numbers[id])
		}
		fmt.Fprintf(b, "Held back until %s succeeded.\n\n", strings.Join(first, " and "))
	}
	if len(s.Rocca) > 0 {
		b.WriteString("rocca does this:\n\n```\n" + strings.Join(s.Rocca, "\n") + "\n```\n\n")
	}
	for _, task := range s.Person {
		fmt.Fprintf(b, "- [ ] You: %s\n", task)
	}
	if len(s.Person) > 0 {
		b.WriteString("\n")
	}
	if s.Undo != "" {
		fmt.Fprintf(b, "To take it back: %s.\n\n", strings.TrimSuffix(s.Undo, "."))
	}
}

// anchor is how a heading is linked to.
func anchor(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		}
		return -1
	}, strings.ToLower(title))
}
