package db

import (
	"context"
	"fmt"
	"slices"
)

// triggers lists the triggers of all schemas but the server's own, by
// "schema.name": "BEFORE INSERT ON table: body".
func triggers(ctx context.Context, conn querier) (map[string]string, error) {
	rows, err := conn.QueryContext(ctx, "SELECT trigger_schema, trigger_name, action_timing, event_manipulation,"+
		" event_object_table, action_statement FROM information_schema.triggers")
	if err != nil {
		return nil, fmt.Errorf("list database triggers: %w", err)
	}
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var schema, name, timing, event, table, body string
		if err := rows.Scan(&schema, &name, &timing, &event, &table, &body); err != nil {
			return nil, fmt.Errorf("list database triggers: %w", err)
		}
		if !slices.Contains(own, schema) {
			found[schema+"."+name] = timing + " " + event + " ON " + table + ": " + body
		}
	}
	return found, rows.Err()
}
