package control

import (
	"slices"
	"strconv"

	"rocca/internal/model"
)

// checklist are the ten lines at the end of the AWS guide (S1).
var checklist = []string{
	"SSH access restricted to known IPs",
	"Database in private subnet only",
	"Trusted hosts configured in Matomo",
	"SSL/TLS configured (production)",
	"Security groups follow least privilege",
	"CloudTrail logging enabled",
	"VPC Flow Logs enabled",
	"Regular security updates applied",
	"Backup and recovery tested",
	"Incident response plan documented",
}

// evidenceInRow is how many observations of each control a row shows.
const evidenceInRow = 2

// Checklist answers the ten lines of the AWS guide by the findings of the
// controls that map to them.
func Checklist(findings []model.Finding) []model.Row {
	rows := make([]model.Row, len(checklist))
	for i, text := range checklist {
		rows[i] = model.Row{Number: i + 1, Text: text, Status: model.NA, Controls: []string{}}
		ref := row(strconv.Itoa(i + 1))
		of := slices.DeleteFunc(slices.Clone(findings), func(f model.Finding) bool { return !slices.Contains(f.Maps, ref) })
		slices.SortStableFunc(of, func(a, b model.Finding) int { return urgency(a.Status) - urgency(b.Status) })
		for j, f := range of {
			if j == 0 {
				rows[i].Status, rows[i].Reason = f.Status, f.Reason
			}
			rows[i].Controls = append(rows[i].Controls, f.ID)
			for _, e := range f.Evidence[:min(len(f.Evidence), evidenceInRow)] {
				if f.Status == rows[i].Status {
					rows[i].Evidence = append(rows[i].Evidence, e)
				}
			}
		}
	}
	return rows
}

// urgency orders statuses, the worst first.
func urgency(s model.Status) int {
	return slices.Index([]model.Status{model.Fail, model.Unknown, model.Waived, model.Pass, model.NA}, s)
}
