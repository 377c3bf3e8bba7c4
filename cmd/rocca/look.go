package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rocca/internal/blueprint"
	"rocca/internal/change"
	"rocca/internal/collect"
	"rocca/internal/collect/app"
	"rocca/internal/collect/files"
	"rocca/internal/config"
	"rocca/internal/document"
	"rocca/internal/facts"
	"rocca/internal/mariadb"
	"rocca/internal/matomo/release"
	"rocca/internal/model"
	"rocca/internal/report"
)

// lookFlags are the flags of the verbs that only look.
type lookFlags struct {
	config  string
	matomo  string
	facts   string
	deep    bool
	offline bool
	lines   bool
}

func (f *lookFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.addConfig(cmd)
	flags.StringVar(&f.facts, "facts", "", "evaluate these stored facts (rocca facts) instead of this server")
}

// addServer adds the flags that say which Matomo is meant.
func (f *lookFlags) addServer(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", config.DefaultPath, "configuration file")
	flags.StringVar(&f.matomo, "matomo", "", "directory of the Matomo, when there are several")
}

func (f *lookFlags) addConfig(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.addServer(cmd)
	flags.BoolVar(&f.deep, "deep", false, "also run Matomo's own diagnostics, as its user")
	flags.BoolVar(&f.offline, "offline", false, "make no requests, not even to this machine")
}

// server observes this server, or reads stored facts.
func (f *lookFlags) server(cmd *cobra.Command) (facts.Server, error) {
	var server facts.Server
	var err error
	if f.facts != "" {
		server, err = readFacts(cmd, f.facts)
	} else {
		server, err = f.observe(cmd)
	}
	if err == nil && server.Matomo.Root == "" {
		return server, &exitError{exitNoMatomo, errors.New("look for Matomo: there is none on this server\nhint: name its directory with --matomo")}
	}
	return server, err
}

func readFacts(cmd *cobra.Command, path string) (facts.Server, error) {
	if path == "-" {
		return facts.Decode(cmd.InOrStdin())
	}
	file, err := openInput(path)
	if err != nil {
		return facts.Server{}, fmt.Errorf("read facts: %w", err)
	}
	defer file.Close()
	server, err := facts.Decode(file)
	if err != nil {
		return server, fmt.Errorf("%s: %w", path, err)
	}
	return server, nil
}

func (f *lookFlags) observe(cmd *cobra.Command) (facts.Server, error) {
	c, err := loadConfig(cmd, f.config)
	if err != nil {
		return facts.Server{}, err
	}
	audit := collect.Audit{Matomo: f.matomo, Declared: declared(c), Offline: f.offline, Deep: f.deep, Lines: f.lines}
	if audit.Rocca, audit.Own, err = own(cmd.Context(), c); err != nil {
		audit.Unread = err
	}
	server, err := audit.Observe(cmd.Context())
	var several collect.ErrSeveral
	if errors.As(err, &several) {
		return server, err
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning: only root sees all of a server; what cannot be seen is unknown")
	}
	return server, err
}

// declared turns the configuration into what controls are told.
func declared(c config.Config) facts.Declared {
	d := facts.Declared{
		Names: c.Domain, Ports: c.Ports, Outbound: c.Outbound, TrackedSites: c.TrackedPages,
		Roles: c.Roles, RawDays: c.Privacy.RawDays, ReportMonths: c.Privacy.ReportMonths, Consent: c.Privacy.Consent, Records: map[string]facts.Record{},
	}
	if c.File() == "" {
		// Nothing was decided: what the defaults say of a server of rocca's is
		// no decision about another one.
		d = facts.Declared{Records: map[string]facts.Record{}}
	}
	for _, network := range c.AdminNetworks {
		d.AdminNetworks = append(d.AdminNetworks, network.String())
	}
	for _, network := range c.Proxies {
		d.Proxies = append(d.Proxies, network.String())
	}
	if c.Database.Network.IsValid() {
		d.Machines = mariadb.Network(c.Database.Network)
	}
	for _, network := range c.SSHNetworks {
		d.SSHNetworks = append(d.SSHNetworks, network.String())
	}
	for _, a := range c.Apps {
		d.Apps = append(d.Apps, a.Name)
	}
	for _, r := range c.Records {
		d.Records[r.Subject] = facts.Record{Document: r.Document, Date: document.Day(r.Date), Note: r.Note}
	}
	d.Waivers = waivers(c.Waivers)
	return d
}

func waivers(list []document.Waiver) []facts.Waiver {
	var all []facts.Waiver
	for _, w := range list {
		all = append(all, facts.Waiver{ID: w.ID, Scope: w.Scope, Reason: w.Reason, Owner: w.Owner, Until: document.Day(w.Until)})
	}
	return all
}

// own gathers what rocca knows of this server; nil when it did not set it up.
func own(ctx context.Context, c config.Config) (facts.Rocca, *collect.Own, error) {
	program, err := thisProgram()
	if err != nil {
		return facts.Rocca{}, nil, err
	}
	about := facts.Rocca{Program: program.Path, Version: version(), SHA256: program.SHA256}
	if name, err := os.Executable(); err == nil {
		about.Program = name
	}
	if recorded, err := os.ReadFile(blueprint.ProgramRecord); err == nil {
		about.Recorded = strings.TrimSpace(string(recorded))
	}
	if about.Recorded != "" {
		about.TimerProgram = blueprint.TimerProgram
		if about.TimerSHA256, err = hashOf(blueprint.TimerProgram); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return about, nil, fmt.Errorf("read the program that the timer starts: %w", err)
		}
	}
	if info, err := os.Stat(blueprint.AuditReport); err == nil {
		about.Audited = info.ModTime()
	}
	readAttacks(&about)
	// Whether there is anything must not be told by what may not be read.
	if _, err := os.ReadDir(change.DefaultDir); errors.Is(err, fs.ErrPermission) {
		return about, nil, fmt.Errorf("read what rocca did on this server: %w", err)
	}
	journal, err := change.Open(change.DefaultDir)
	if err != nil {
		return about, nil, err
	}
	runs, err := journal.Runs()
	if err != nil {
		return about, nil, err
	}
	about.Unfinished = interrupted(runs) != nil
	if !installed(runs) {
		return about, nil, nil
	}
	var version string
	var baseline files.Baseline
	var unrecorded error
	record, err := installedRecord(c)
	switch {
	case record != nil:
		version = record.Version
		about.Release, about.Signer, about.SignedWell = version, record.Signer, record.Signer == release.VendorKey
		baseline, unrecorded = readBaseline(blueprint.NewLayout(c, version).Record)
	case !unpacked(runs):
		return about, nil, err // of Matomo's, nothing is rocca's
	default:
		// A record that is gone must not make this somebody else's server.
		if version, unrecorded = servedVersion(c); unrecorded == nil {
			unrecorded = cmp.Or(err, recordGone(blueprint.NewLayout(c, version)))
		}
	}
	about.Installed = true
	layout := blueprint.NewLayout(c, version)
	about.Link = layout.Link
	if c.Hardening.AuditTimer {
		about.AuditTimer = "rocca-audit.timer"
	}
	known, err := written(ctx, c, version)
	return about, &collect.Own{
		DataDirs: dataDirs(layout), Baseline: baseline, Unrecorded: unrecorded, Known: known, Scripts: layout.Scripts,
		// The salt stands in the configuration of migrations, too.
		Legitimate: []string{layout.Admin + "/"}, Watched: []string{layout.State + "/user", layout.Cron + "/tmp", layout.Admin + "/config", layout.Admin + "/tmp", layout.Record},
	}, err
}

// unpacked tells whether a run that stands put a release on this server.
func unpacked(runs []change.RunInfo) bool {
	return slices.ContainsFunc(runs, func(r change.RunInfo) bool {
		return installed([]change.RunInfo{r}) && slices.ContainsFunc(r.Steps, func(step string) bool { return names("code *", step) })
	})
}

// readBaseline reads what the code must be from the record of the release.
func readBaseline(record string) (files.Baseline, error) {
	content, err := os.ReadFile(record)
	if err != nil {
		return files.Baseline{}, fmt.Errorf("read what was recorded of the release: %w", err)
	}
	return files.ReadRecord(content)
}

func recordGone(l blueprint.Layout) error {
	return fmt.Errorf("compare the code: the record of the release is gone: %s\nhint: move %s away, and put it back from a verified release: rocca up --release FILE", l.Record, l.Code)
}

// readAttacks reads what the attacks came to when they were last made. Nothing
// else of an audit depends on it.
func readAttacks(about *facts.Rocca) {
	file, err := os.Open(blueprint.ProofReport)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return
	}
	var proof model.Proof
	if err == nil {
		defer file.Close()
		proof, err = report.ReadProof(file)
	}
	if err != nil {
		about.Unproved = facts.Why(fmt.Errorf("%s: %w", blueprint.ProofReport, err))
		return
	}
	about.Proved, about.Attacks = proof.Observed, map[string]string{}
	for _, a := range proof.Attacks {
		about.Attacks[a.ID] = string(a.Result)
	}
}

func dataDirs(l blueprint.Layout) []app.DataDir {
	return []app.DataDir{
		{Name: "ui", User: blueprint.UIUser, Dir: l.State},
		{Name: "tracker", User: blueprint.TrackerUser, Dir: l.Tracker},
	}
}

// written hashes the files that rocca would write on this server.
func written(ctx context.Context, c config.Config, version string) (map[string]string, error) {
	seen, err := collect.Server{}.Observe(ctx, facts.Query{})
	if err != nil {
		return nil, err
	}
	in := blueprint.Input{Config: c, Version: version}
	if in.Debian, in.PHP, err = platform(c, seen); err != nil {
		return nil, err
	}
	contents, err := blueprint.Files(in)
	if err != nil {
		return nil, err
	}
	known := map[string]string{}
	for path, content := range contents {
		sum := sha256.Sum256(content)
		known[path] = hex.EncodeToString(sum[:])
	}
	return known, nil
}

func newFactsCommand() *cobra.Command {
	var look lookFlags
	var output string
	cmd := &cobra.Command{
		Use:   "facts",
		Short: "Collect what an audit looks at, as JSON without secrets",
		Long: `Collect everything that the controls look at, as versioned JSON. It holds no
secret: of passwords and keys it tells length and strength, of personal data how
much there is. rocca audit --facts evaluates it anywhere else.

Exit status: 0 collected, 2 usage.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			server, err := look.observe(cmd)
			if err != nil {
				return err
			}
			return deliverFacts(cmd, output, server)
		},
	}
	look.addConfig(cmd)
	cmd.Flags().BoolVar(&look.lines, "lines", false, "also count lines of code")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to this file")
	return cmd
}
