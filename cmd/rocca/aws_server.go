package main

import (
	"fmt"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"rocca/internal/aws/settings"
	"rocca/internal/config"
)

// furtherKeys reads the file with further keys of rocca.yaml that rocca-aws.yaml
// names. They are judged here, rather than on a server that then does not come up.
func (f *awsFlags) furtherKeys(wanted settings.Settings) (map[string]any, error) {
	if wanted.Server == "" {
		return nil, nil
	}
	name := wanted.Server
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(f.config), name)
	}
	text, err := readInput(name)
	if err != nil {
		return nil, fmt.Errorf("read further keys of the servers: %w\nhint: server in %s names the file", err, f.config)
	}
	if err := config.Check(name, text, config.Defaults{Hostname: wanted.Domain}); err != nil {
		return nil, fmt.Errorf("read further keys of the servers: %w", err)
	}
	keys := map[string]any{}
	if err := yaml.Unmarshal(text, &keys); err != nil {
		return nil, fmt.Errorf("read further keys of the servers from %s: %w", name, err)
	}
	return keys, nil
}
