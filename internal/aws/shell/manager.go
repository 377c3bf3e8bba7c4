package shell

import (
	"context"
	"encoding/json"
	"fmt"

	"rocca/internal/aws/client"
	"rocca/internal/run"
)

// plugin is the program of AWS that speaks the protocol of Session Manager. It
// takes what StartSession answered from an environment variable since 1.2.497;
// as an argument, everybody on this computer would see the token.
const (
	plugin         = "session-manager-plugin"
	answerVariable = "AWS_SSM_START_SESSION_RESPONSE"
)

// Manager opens a shell by Session Manager, on the caller's terminal. document
// names the rules of sessions, which have what is typed and shown recorded.
func Manager(ctx context.Context, c client.Config, i Instance, document string) error {
	program, err := run.LookUser(plugin)
	if err != nil {
		return fmt.Errorf("open a session on %s: %w\nhint: install the Session Manager plugin of AWS, or use --connect", i.ID, err)
	}
	var answer struct { // which the plugin gets as it is
		SessionID  string `json:"SessionId"`
		TokenValue string
		StreamURL  string `json:"StreamUrl"`
	}
	err = client.Ask(ctx, c, "ssm:StartSession", client.Fields{"Target": i.ID, "DocumentName": document, "Reason": "rocca aws ssh"}, &answer)
	if err != nil {
		return fmt.Errorf("open a session on %s: %w\nhint: is the SSM agent on it (instance.agent)? --connect needs none", i.ID, client.Explain(err))
	}
	token, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("open a session on %s: %w", i.ID, err)
	}
	target, err := json.Marshal(map[string]string{"Target": i.ID, "DocumentName": document})
	if err != nil {
		return fmt.Errorf("open a session on %s: %w", i.ID, err)
	}
	endpoint := fmt.Sprintf("https://ssm.%s.amazonaws.com", c.Region)
	_, err = run.Do(ctx, run.Command{
		Argv:    []string{program, answerVariable, c.Region, "StartSession", "", string(target), endpoint},
		Env:     []string{answerVariable + "=" + string(token)},
		Inherit: true,
	})
	return err
}
