package step

import (
	"context"

	"rocca/internal/change"
	"rocca/internal/facts"
	"rocca/internal/mariadb"
)

// Trigger is a trigger of MariaDB with exactly this body.
type Trigger struct {
	Schema  string
	Table   string
	Event   string // such as "BEFORE INSERT"
	Trigger string // of the trigger, unique in the schema
	Body    string // a statement
	Why     string // what it keeps from happening
}

// Name implements change.Step.
func (t Trigger) Name() string { return "database trigger " + t.Trigger }

// Looks implements change.Step.
func (t Trigger) Looks() facts.Query { return facts.Query{Schemas: true} }

// Plan implements change.Step.
func (t Trigger) Plan(s facts.Server) (change.Proposal, error) {
	if s.Database.Triggers[t.Schema+"."+t.Trigger] == t.Event+" ON "+t.Table+": "+t.Body {
		return change.Proposal{}, nil
	}
	return change.Proposal{Sentence: "set it: " + t.Why}, nil
}

// Apply implements change.Step.
func (t Trigger) Apply(ctx context.Context, w *change.Writer, s facts.Server) error {
	if err := reached(s); err != nil {
		return err
	}
	name := mariadb.Identifier(t.Schema) + "." + mariadb.Identifier(t.Trigger)
	return w.SQL(ctx, change.SQLChange{
		Title: "trigger " + t.Trigger,
		Do: []string{"CREATE OR REPLACE TRIGGER " + name + " " + t.Event + " ON " +
			mariadb.Identifier(t.Schema) + "." + mariadb.Identifier(t.Table) + " FOR EACH ROW " + t.Body},
		Reverse: []string{"DROP TRIGGER IF EXISTS " + name},
	})
}
