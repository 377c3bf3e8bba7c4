package watch

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/model"
)

// Severities of GuardDuty: 7 and more is high, 9 and more critical.
const (
	leastSeverity = 4.0
	highThreat    = 7.0
	gravestThreat = 9.0
)

// threats asks GuardDuty. An account without a detector has none.
func threats(ctx context.Context, c client.Config, t Target, since time.Time) ([]Finding, error) {
	var detectors struct {
		IDs []string `json:"detectorIds"`
	}
	if err := client.AskREST(ctx, c, "guardduty:ListDetectors", http.MethodGet, "/detector", nil, &detectors); err != nil {
		return nil, err
	}
	var all []Finding
	for _, detector := range detectors.IDs {
		path := "/detector/" + url.PathEscape(detector) + "/findings"
		ask := client.Fields{"maxResults": 50, "findingCriteria": client.Fields{"criterion": client.Fields{
			"severity": client.Fields{"greaterThanOrEqual": leastSeverity}, "updatedAt": client.Fields{"greaterThanOrEqual": since.UnixMilli()},
		}}}
		for range mostPages {
			var ids struct {
				IDs  []string `json:"findingIds"`
				Next string   `json:"nextToken"`
			}
			if err := client.AskREST(ctx, c, "guardduty:ListFindings", http.MethodPost, path, ask, &ids); err != nil {
				return all, err
			}
			if len(ids.IDs) > 0 {
				found, err := t.describe(ctx, c, path, ids.IDs)
				if err != nil {
					return all, err
				}
				all = append(all, found...)
			}
			if ids.Next == "" {
				break
			}
			ask["nextToken"] = ids.Next
		}
	}
	return all, nil
}

func (t Target) describe(ctx context.Context, c client.Config, path string, ids []string) ([]Finding, error) {
	var answer struct {
		Findings []struct {
			ID        string    `json:"id"`
			Type      string    `json:"type"`
			Title     string    `json:"title"`
			Severity  float64   `json:"severity"`
			UpdatedAt time.Time `json:"updatedAt"`
			Resource  struct {
				Instance struct {
					ID string `json:"instanceId"`
				} `json:"instanceDetails"`
				AccessKey struct {
					User string `json:"userName"`
				} `json:"accessKeyDetails"`
				Database struct {
					ID string `json:"dbInstanceIdentifier"`
				} `json:"rdsDbInstanceDetails"`
				Buckets []struct {
					Name string `json:"name"`
				} `json:"s3BucketDetails"`
			} `json:"resource"`
		} `json:"findings"`
	}
	if err := client.AskREST(ctx, c, "guardduty:GetFindings", http.MethodPost, path+"/get", client.Fields{"findingIds": ids}, &answer); err != nil {
		return nil, err
	}
	var all []Finding
	for _, told := range answer.Findings {
		r := told.Resource
		f := Finding{At: told.UpdatedAt.UTC(), Kind: Threat, Severity: model.Medium, Who: r.AccessKey.User, What: told.Title + " (" + told.Type + ")", ID: told.ID}
		switch {
		case r.Instance.ID != "":
			f.Resource = r.Instance.ID
		case r.Database.ID != "":
			f.Resource = r.Database.ID
		case len(r.Buckets) > 0:
			f.Resource = r.Buckets[0].Name
		}
		switch {
		case told.Severity >= gravestThreat:
			f.Severity = model.Critical
		case told.Severity >= highThreat:
			f.Severity = model.High
		}
		if f.Resource == "" || t.Resources == nil || t.Resources(f.Resource) { // of the account is of us, too
			all = append(all, f)
		}
	}
	return all, nil
}
