package demo

import (
	"context"
	"fmt"
	"maps"

	"rocca/internal/run"

	"github.com/goccy/go-yaml"
)

// installRocca runs rocca up inside the booted bare server, as its owner would.
func (s *Server) installRocca(ctx context.Context, o Options, release hostRelease, say func(string, ...any)) error {
	guest, err := s.copyRelease(ctx, release)
	if err != nil {
		return err
	}
	config, err := guestConfig(o)
	if err != nil {
		return err
	}
	if err := writeFile(s.Root+"/etc/rocca/rocca.yaml", config, 0o644); err != nil {
		return err
	}
	argv := []string{"rocca", "up", "--yes", "--release", guest.Path}
	if o.AcceptUnsigned {
		argv = append(argv, "--accept-unsigned")
	}
	if guest.Key != "" {
		argv = append(argv, "--release-key", guest.Key)
	}
	say("running inside: %s", run.Quote(argv))
	if _, err := s.Run(ctx, run.Command{Argv: argv, Output: o.Output}); err != nil {
		return fmt.Errorf("set up demo server %s: %w", s.Name, err)
	}
	return nil
}

// guestConfig is the rocca.yaml of a demo server: what the host needs to reach
// it, overlaid with the owner's own keys.
func guestConfig(o Options) ([]byte, error) {
	config := map[string]any{"domain": []string{"127.0.0.1", "localhost", "matomo.localhost"}}
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
