package rotate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"rocca/internal/aws/instance"
)

// Token is one of Matomo's, without its value.
type Token struct {
	User        string     `json:"user"`
	Description string     `json:"description"`
	Created     time.Time  `json:"created"`
	LastUsed    *time.Time `json:"last_used,omitempty"` // nil: never
}

// planTokens has one server list the tokens that are meant. All servers have
// the same ones, in the database.
func (d *Deployment) planTokens(ctx context.Context, p *Plan) error {
	host, err := d.one(ctx)
	if err != nil {
		return err
	}
	listed, err := d.tokens(ctx, host.ID, "--dry-run")
	if err != nil {
		return err
	}
	p.Servers, p.Tokens = []string{host.ID}, listed.Tokens
	if len(d.Tokens) == 0 {
		p.Notice = []string{"which of them shall be revoked: --all, --user, --older-than"}
		return nil
	}
	if len(listed.Tokens) == 0 {
		return nil
	}
	p.Steps = []Step{{Name: "tokens", Text: fmt.Sprintf("%s revokes %d of them", host, len(listed.Tokens)), Usual: 10 * time.Second, do: func(ctx context.Context) error {
		_, err := d.tokens(ctx, host.ID, "--yes")
		return err
	}}}
	p.Notice = []string{"what uses them stops working, until their owners make new ones in Matomo: Administration, Personal, Security"}
	return nil
}

// tokensAnswer is the last line of rocca rotate tokens --json.
type tokensAnswer struct {
	Kind   string  `json:"kind"`
	Tokens []Token `json:"tokens"`
}

func (d *Deployment) tokens(ctx context.Context, id, how string) (tokensAnswer, error) {
	argv := append([]string{instance.Program, "rotate", "tokens", "--json", how}, d.Tokens...)
	text, err := d.fleet.Run(ctx, id, argv)
	if err != nil {
		return tokensAnswer{}, err
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	var answer tokensAnswer
	if json.Unmarshal(lines[len(lines)-1], &answer) != nil || answer.Kind != "result" {
		return answer, fmt.Errorf("list tokens on %s: its answer is not what was expected\nhint: does it have this version of rocca? rocca aws deploy", id)
	}
	return answer, nil
}
