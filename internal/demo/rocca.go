package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"rocca/internal/progress"
	"rocca/internal/run"
	"rocca/internal/secret"

	"github.com/goccy/go-yaml"
)

// installRocca runs rocca up inside the booted bare server, as its owner would.
func (s *Server) installRocca(ctx context.Context, o Options, release hostRelease, say func(string, ...any)) error {
	guest, err := s.copyRelease(ctx, release)
	if err != nil {
		return err
	}
	config, err := guestConfig(o, s.Port)
	if err != nil {
		return err
	}
	if err := writeFile(s.Root+"/etc/rocca/rocca.yaml", config, 0o644); err != nil {
		return err
	}
	argv := []string{"rocca", "up", "--yes", "--json", "--release", guest.Path}
	if o.AcceptUnsigned {
		argv = append(argv, "--accept-unsigned")
	}
	if guest.Key != "" {
		argv = append(argv, "--release-key", guest.Key)
	}
	say("running inside: %s", run.Quote(argv))
	inside := insideReader{tell: o.Inside}
	result, err := s.Run(ctx, run.Command{Argv: argv, Output: &inside})
	s.Login = inside.login
	var failed *run.Error
	if errors.As(err, &failed) {
		return fmt.Errorf("set up demo server %s: %w\n%s", s.Name, failed.Cause, bytes.TrimSpace(result.Stderr))
	}
	return err
}

// Login is the first login of a server.
type Login struct {
	Name     string
	Password secret.Secret
}

// insideReader reads what rocca up --json prints inside: events, and a card at
// the end. Whatever else is printed is not for it.
type insideReader struct {
	tell  progress.Handler
	login Login
	line  []byte
}

func (r *insideReader) Write(chunk []byte) (int, error) {
	r.line = append(r.line, chunk...)
	for {
		line, rest, whole := bytes.Cut(r.line, []byte("\n"))
		if !whole {
			return len(chunk), nil
		}
		r.read(line)
		r.line = rest
	}
}

func (r *insideReader) read(line []byte) {
	var event struct {
		progress.Event
		Login    string `json:"login"`
		Password string `json:"password"`
	}
	switch err := json.Unmarshal(line, &event); {
	case err != nil || event.Kind == "":
	case event.Kind == "card":
		r.login = Login{event.Login, secret.New(event.Password)}
	default:
		r.tell.Tell(event.Event)
	}
}

// guestConfig is the rocca.yaml of a demo server: what the host needs to reach
// it, overlaid with the owner's own keys.
func guestConfig(o Options, port int) ([]byte, error) {
	config := map[string]any{"domain": []string{"127.0.0.1", "localhost", "matomo.localhost"}, "port": port}
	if o.Front != "" {
		config["front"] = o.Front
	}
	own := map[string]any{}
	if err := yaml.Unmarshal(o.Config, &own); err != nil {
		return nil, fmt.Errorf("read the configuration for the demo server: %w", err)
	}
	maps.Copy(config, own)
	text, err := yaml.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("write the configuration of the demo server: %w", err)
	}
	return text, nil
}
