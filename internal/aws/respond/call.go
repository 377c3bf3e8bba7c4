package respond

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"rocca/internal/aws/client"
	"rocca/internal/incident"
)

// call is one that changes something. It can be shown before it is made.
type call struct {
	action string // such as ec2:CreateTags
	input  any    // what AWS is sent
	send   func(context.Context) error
	done   []string // codes of refusals that say that there is nothing to do
}

// of is a call by a client of the SDK.
func of[In, Out, Options any](action string, ask func(context.Context, *In, ...func(*Options)) (*Out, error), in *In) call {
	return call{action: action, input: in, send: func(ctx context.Context) error {
		_, err := ask(ctx, in)
		return err
	}}
}

// String shows the action and what it is sent, without what is empty.
func (c call) String() string { return c.action + " " + shown(c.input) }

// shown is JSON without what is empty, in the order of the names.
func shown(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "{}"
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return "{}"
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(pruned(tree)) // it was JSON before
	return string(bytes.TrimSpace(out.Bytes()))
}

// pruned is a tree of JSON without null, "", [] and {}.
func pruned(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if v[key] = pruned(value); isEmpty(v[key]) {
				delete(v, key)
			}
		}
	case []any:
		for i := range v {
			v[i] = pruned(v[i])
		}
	}
	return v
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// make makes the call. The error names it.
func (c call) make(ctx context.Context) error {
	text := c.String()
	err := c.send(ctx)
	if err == nil || client.Refused(err, c.done...) {
		return nil
	}
	return fmt.Errorf("%s: %w", text, client.Explain(err))
}

// hopeless tells whether the next call would fail for the same reason.
func hopeless(ctx context.Context, err error) bool {
	return ctx.Err() != nil || client.Expired(err)
}

// makeAll makes one call after the other, and writes down those that worked.
// One that fails blocks none after it.
func makeAll(ctx context.Context, calls []call, c *incident.Case, undo string) error {
	var all []error
	for _, one := range calls {
		text := one.String() // the SDK writes signatures into what it is sent with
		err := one.make(ctx)
		if err == nil {
			err = c.Changed(text, undo)
		}
		all = append(all, err)
		if hopeless(ctx, err) {
			break
		}
	}
	return errors.Join(all...)
}
