package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/aws/check"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/verify"
	"rocca/internal/secret"
)

func newAWSVerifyCommand() *cobra.Command {
	var flags awsFlags
	var connect, plain, authority, token string
	var site int
	var wait, asJSON bool
	var timeout, interval time.Duration
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Look at the deployed Matomo from outside, as a visitor and as an attacker",
		Long: `Look at the deployed Matomo from outside: certificate, old TLS, redirect, HSTS,
login, installation wizard, foreign host names, private files, SSH. A test hit
is sent to the tracker and found again by the API, for which the file named
with --token-file holds a token_auth that may view the site.

It needs no credentials of AWS. The exit code is 1 when something fails, and 3
when something could not be seen.`,
		Example: "  rocca aws verify\n  rocca aws verify --wait --timeout 30m --token-file token",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted, err := flags.wanted()
			if err != nil {
				return err
			}
			target := verify.Target{URL: publicURL(wanted), Connect: connect, Plain: plain, Site: site, Minted: rand.Text()}
			if authority != "" {
				if target.CA, err = readAuthority(authority); err != nil {
					return err
				}
			}
			if token != "" {
				if target.Token, err = readToken(token); err != nil {
					return err
				}
			}
			all := verify.Run(cmd.Context(), target)
			if wait {
				all, err = again(cmd.Context(), target, all, time.Now().Add(timeout), interval, cmd.ErrOrStderr())
				if err != nil {
					return err
				}
			}
			return tellChecks(cmd.OutOrStdout(), all, asJSON)
		},
	}
	flags.addConfig(cmd)
	cmd.Flags().StringVar(&connect, "connect", "", "host:port to connect to instead of what DNS says")
	cmd.Flags().StringVar(&plain, "connect-http", "", "the same for plain http")
	cmd.Flags().StringVar(&authority, "ca", "", "PEM file with the authority to trust instead of those of this computer")
	cmd.Flags().StringVar(&token, "token-file", "", "file with a token_auth that may view the site")
	cmd.Flags().IntVar(&site, "site", 1, "id of the site in Matomo that the test hit goes to")
	cmd.Flags().BoolVar(&wait, "wait", false, "try again until nothing fails")
	cmd.Flags().DurationVar(&timeout, "timeout", 15*time.Minute, "with --wait: how long")
	cmd.Flags().DurationVar(&interval, "interval", 30*time.Second, "with --wait: pause between two tries")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// publicURL is where visitors find the deployment.
func publicURL(wanted settings.Settings) *url.URL {
	return &url.URL{Scheme: "https", Host: wanted.Domain, Path: "/"}
}

// again verifies until nothing fails, or time is up.
func again(ctx context.Context, target verify.Target, all []check.Check, until time.Time, pause time.Duration, progress io.Writer) ([]check.Check, error) {
	for check.Count(all, check.Fail) > 0 || unreachable(all) {
		if time.Now().Add(pause).After(until) {
			return all, nil
		}
		fmt.Fprintf(progress, "%d of %d checks are not right yet; again in %s\n", len(all)-check.Count(all, check.OK)-check.Count(all, check.Warn), len(all), pause)
		select {
		case <-ctx.Done():
			return all, context.Cause(ctx)
		case <-time.After(pause):
		}
		target.Minted = rand.Text()
		all = verify.Run(ctx, target)
	}
	return all, nil
}

// unreachable tells whether the server does not answer yet. That a hit cannot
// be looked for without a token does not change by waiting.
func unreachable(all []check.Check) bool {
	for _, c := range all {
		if c.Status == check.Unknown && c.ID != "tracker.found" {
			return true
		}
	}
	return false
}

// tellChecks writes checks, and decides the exit code.
func tellChecks(w io.Writer, all []check.Check, asJSON bool) error {
	tell := check.Table
	if asJSON {
		tell = check.JSON
	}
	if err := tell(w, all); err != nil {
		return err
	}
	switch {
	case check.Count(all, check.Fail) > 0:
		return &exitError{code: exitFindings}
	case check.Count(all, check.Unknown) > 0:
		return &exitError{code: exitUnseen}
	}
	return nil
}

func readAuthority(name string) (*x509.CertPool, error) {
	text, err := readInput(name)
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w\nhint: --ca names a PEM file that you may read", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read the authority: %s holds no certificate in PEM", name)
	}
	return pool, nil
}

func readToken(name string) (secret.Secret, error) {
	text, err := readInput(name)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("read the token: %w\nhint: --token-file names a file that you may read; Matomo makes tokens under Personal, Security", err)
	}
	token := secret.New(strings.TrimSpace(string(text)))
	if token.IsZero() {
		return token, errors.New("read the token: the file is empty\nhint: Matomo makes one under Personal, Security")
	}
	return token, nil
}
