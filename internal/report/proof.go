package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"rocca/internal/model"
)

// ProofVersion is that of the JSON format of attacks (docs/proof.schema.json).
const ProofVersion = 1

// ProofFormats lists the formats of attacks by name.
var ProofFormats = []string{"text", "json", "html"}

// ProofWriter writes the outcome of attacks in one format.
type ProofWriter func(io.Writer, model.Proof) error

// ProofIn finds the writer of a format; the style is that of text.
func ProofIn(format string, style Style) (ProofWriter, error) {
	switch format {
	case "text":
		return func(w io.Writer, p model.Proof) error { return ProofText(w, p, style) }, nil
	case "json":
		return ProofJSON, nil
	case "html":
		return ProofHTML, nil
	}
	return nil, fmt.Errorf("write the attacks as %q: no such format\nhint: one of %v", format, ProofFormats)
}

// ProofJSON writes the attacks as docs/proof.schema.json describes.
func ProofJSON(w io.Writer, p model.Proof) error {
	if p.Attacks == nil {
		p.Attacks = []model.Attacked{} // a list, also when it is empty
	}
	if err := indented(w, p); err != nil {
		return fmt.Errorf("write the attacks: %w", err)
	}
	return nil
}

// ReadProof reads what ProofJSON wrote.
func ReadProof(r io.Reader) (model.Proof, error) {
	var p model.Proof
	if err := json.NewDecoder(r).Decode(&p); err != nil {
		return p, fmt.Errorf("read the outcome of attacks: %w\nhint: rocca prove writes it anew", err)
	}
	if p.Version != ProofVersion {
		return p, fmt.Errorf("read the outcome of attacks: it is of version %d, and this rocca reads version %d", p.Version, ProofVersion)
	}
	return p, nil
}

// outcome is how the outcome of an attack is shown.
type outcome struct {
	Outcome model.Outcome
	Colour  string // ECMA-48, SGR
	Class   string // of HTML
	Words   string
}

// outcomes in the order in which they are told.
var outcomes = []outcome{
	{model.Fell, "1;31", "fell", "FELL"},
	{model.NotProven, "33", "not-proven", "not proven"},
	{model.Held, "32", "held", "held"},
	{model.NotApplicable, "2", "not-applicable", "no subject"},
}

// outcomeOf is how an outcome is shown, also one that this format does not know.
func outcomeOf(o model.Outcome) outcome {
	for _, known := range outcomes {
		if known.Outcome == o {
			return known
		}
	}
	return outcome{Outcome: o, Words: Clean(string(o))}
}

// fellShown is how many tries of an attack that fell are shown as text.
const fellShown = 3

// ProofText writes the attacks as a table: what fell comes first, with what a
// person pastes to see it.
func ProofText(w io.Writer, p model.Proof, style Style) error {
	if style.Width == 0 || style.Width > maxWidth {
		style.Width = maxWidth
	}
	t := &text{Style: style}
	t.wrap("", fmt.Sprintf("attacks on %s, %s", p.Server, p.Observed.UTC().Format("2006-01-02 15:04 UTC")))
	t.wrap("", p.Subject)
	t.line("")
	t.wrap("  ", proofVerdict(p))
	if p.NoTwins != "" {
		t.wrap("  ", "There were no twins, so nothing is proven that held: "+p.NoTwins+".")
	}
	t.line("")
	for _, o := range outcomes {
		for _, a := range p.Attacks {
			if a.Result == o.Outcome {
				t.attack(a, t.colour(o.Colour, fmt.Sprintf("%-10s", o.Words)))
			}
		}
	}
	t.line("")
	t.wrap("", "rocca explain A01 tells what an attack does. A try that fell is shown with a line for a shell of the server's root.")
	if _, err := w.Write(t.Bytes()); err != nil {
		return fmt.Errorf("write the attacks: %w", err)
	}
	return nil
}

// proofVerdict is a run of attacks in one sentence.
func proofVerdict(p model.Proof) string {
	count := map[model.Outcome]int{}
	for _, a := range p.Attacks {
		count[a.Result]++
	}
	parts := []string{fmt.Sprintf("%d attacks in %.0f s", len(p.Attacks), p.Seconds)}
	for _, o := range []model.Outcome{model.Held, model.Fell, model.NotProven, model.NotApplicable} {
		if count[o] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[o], o))
		}
	}
	return strings.Join(parts, ", ") + "."
}

func (t *text) attack(a model.Attacked, outcome string) {
	t.wrap(fmt.Sprintf("  %-4s ", Clean(a.ID))+outcome+"  ", a.Title)
	const lead = "                   "
	switch a.Result {
	case model.Fell:
		t.wrap(lead, proves(a))
		shown := 0
		for _, try := range a.Evidence {
			if !try.Fell {
				continue
			}
			if shown++; shown > fellShown {
				continue
			}
			t.wrap(lead+"- ", try.Who+": "+try.What+" "+try.Where+": "+try.Answer)
			if try.Note != "" {
				t.wrap(lead+"  ", try.Note)
			}
			if try.Reproduce != "" {
				t.line(lead + "  paste:")
				t.line(Clean(try.Reproduce)) // never broken: a person takes the whole line
			}
		}
		if shown > fellShown {
			t.line(fmt.Sprintf("%sand %d more (--format json)", lead, shown-fellShown))
		}
	case model.Held:
		t.wrap(lead, heldBecause(a))
		if a.Reason != "" {
			t.wrap(lead, a.Reason)
		}
	default:
		t.wrap(lead, a.Reason)
	}
}

// proves tells which controls an attack is about.
func proves(a model.Attacked) string {
	return fmt.Sprintf("%d tries; it breaks %s", a.Tries, strings.Join(a.Controls, " "))
}

// heldBecause tells why an attack that held means something.
func heldBecause(a model.Attacked) string {
	line := fmt.Sprintf("%d tries", a.Tries)
	if a.Tries == 1 {
		line = "1 try"
	}
	var without []string
	for _, twin := range a.Twins {
		without = append(without, twin.Without)
	}
	if len(without) > 0 {
		line += "; fell on a twin without " + strings.Join(without, ", on one without ")
	}
	return line
}
