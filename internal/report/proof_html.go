package report

import (
	"fmt"
	"html/template"
	"io"

	"rocca/internal/model"
)

// proofPage is what the template of attacks shows.
type proofPage struct {
	Proof   model.Proof
	Policy  string
	Style   template.CSS
	Verdict string
	Groups  []attackGroup
}

// attackGroup are the attacks of one outcome.
type attackGroup struct {
	outcome
	Title   string
	Attacks []model.Attacked
}

// groupTitles say what attacks of an outcome mean for who reads it first.
var groupTitles = map[model.Outcome]string{
	model.Fell:          "Fell: an intruder can do this",
	model.NotProven:     "Not proven: nothing is known of this",
	model.Held:          "Held: the same attack succeeds where the protection is missing",
	model.NotApplicable: "Not applicable: what it attacks is not there",
}

// ProofHTML writes one self-contained page of the attacks. Its policy lets it
// use its own style, known by its hash, and load and run nothing.
func ProofHTML(w io.Writer, p model.Proof) error {
	templates, err := template.New("proof.tmpl").Funcs(functions).ParseFS(assets, "html/proof.tmpl")
	if err != nil {
		return fmt.Errorf("write the attacks as HTML: %w", err)
	}
	style, err := assets.ReadFile("html/page.css")
	if err != nil {
		return fmt.Errorf("write the attacks as HTML: %w", err)
	}
	page := proofPage{
		Proof: p, Verdict: proofVerdict(p), Style: template.CSS(style), //nolint:gosec // it is rocca's own file
		Policy: "default-src 'none'; style-src " + source(style) + "; img-src data:; base-uri 'none'; form-action 'none'",
	}
	for _, o := range outcomes {
		group := attackGroup{outcome: o, Title: groupTitles[o.Outcome]}
		for _, a := range p.Attacks {
			if a.Result == o.Outcome {
				group.Attacks = append(group.Attacks, a)
			}
		}
		page.Groups = append(page.Groups, group)
	}
	if err := templates.Execute(w, page); err != nil {
		return fmt.Errorf("write the attacks as HTML: %w", err)
	}
	return nil
}
