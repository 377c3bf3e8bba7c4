package config

import "rocca/internal/document"

// Problem is one thing that is wrong with a configuration.
type Problem = document.Problem

// Error is a configuration that cannot be used: every problem that was found,
// in the order of the file. It maps to the exit code for usage.
type Error = document.Error

// sizeLimit caps rocca.yaml, in bytes. The template has about 6 KB.
const sizeLimit = document.SizeLimit

// rules collects what breaks them.
type rules struct{ document.Rules }

func (r *rules) report(path, hint, format string, args ...any) {
	r.Report(path, hint, format, args...)
}

func (r *rules) reported(path string) bool { return r.Reported(path) }

func quote(text string) string { return document.Quote(text) }

// YAML returns the effective configuration, every key with a comment that says
// where its value came from: "default" or "file:line". It loads to the same
// Config, and holds no secret, because a Config holds none.
func (c Config) YAML() []byte { return c.source.YAML(c) }
