package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5" //nolint:gosec // see upload
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/blueprint"
	"rocca/internal/config"
	"rocca/internal/facts"
	"rocca/internal/incident"
	"rocca/internal/secret"
	"rocca/internal/triage"
)

// triageFlags are those of rocca host triage.
type triageFlags struct {
	look     lookFlags
	output   string
	putURL   bool
	memory   bool
	pids     []int
	limit    int64
	duration time.Duration
}

func newHostTriageCommand() *cobra.Command {
	var f triageFlags
	cmd := &cobra.Command{
		Use:   "triage",
		Short: "Take what a stop of this server would lose, as an archive",
		Long: `Take what is volatile on this server before it is lost: processes with their
programs, open files and connections, deleted programs that still run, log-ins,
keys, what starts by itself, kernel modules, files that are not as rocca wrote
them, code of Matomo that no release has, the journal. It only reads. Secrets
are masked.

The result is a gzip-compressed tar: triage.json, journal.txt, and the memory
maps of suspects. It goes to standard output, to a file (-o), or by PUT to an
address that is read from standard input (--put-url-stdin), so that it stands in
no list of processes; then standard output has one JSON object that tells its
SHA-256, the suspects, and what is missing.

Exit status: 0 taken, 2 it was not taken or could not be handed over, 3 taken,
and something is missing in it.`,
		Example: "  rocca host triage -o triage.tar.gz\n  rocca host triage --memory --pid 4711 -o triage.tar.gz",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.look.addServer(cmd)
	f.look.offline = true
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "write to this file")
	flags.BoolVar(&f.putURL, "put-url-stdin", false, "upload to the address in the first line of standard input")
	flags.BoolVar(&f.memory, "memory", false, "also the memory of suspects; it may hold secrets that rocca does not know")
	flags.IntSliceVar(&f.pids, "pid", nil, "these processes are suspects in any case")
	flags.Int64Var(&f.limit, "limit", 64, "MiB of all files together, before they are compressed")
	flags.DurationVar(&f.duration, "timeout", 5*time.Minute, "take what was found by then")
	cmd.MarkFlagsMutuallyExclusive("output", "put-url-stdin")
	return cmd
}

// triageAnswer is what standard output has after an upload.
type triageAnswer struct {
	SHA256    string            `json:"sha256"`
	Size      int               `json:"size"`
	Files     int               `json:"files"`
	Processes int               `json:"processes"`
	Suspects  []triage.Suspect  `json:"suspects"`
	Missing   map[string]string `json:"missing,omitempty"`
}

func (f *triageFlags) run(cmd *cobra.Command) error {
	var address *url.URL
	if f.putURL {
		var err error
		if address, err = readUploadAddress(cmd.InOrStdin()); err != nil {
			return err
		}
	}
	if err := deliverable(f.output); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), f.duration, fmt.Errorf("it took longer than %s", f.duration))
	defer cancel()
	a := newTriageArchive()
	o := f.options(cmd)
	o.Put, o.Hide = a.put, a.hide
	doc, err := triage.Collect(ctx, o)
	if err != nil {
		return err
	}
	content, err := a.end()
	if err != nil {
		return err
	}
	if address == nil {
		if err := deliver(cmd, f.output, content); err != nil {
			return err
		}
	} else {
		if err := upload(cmd.Context(), address, content); err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		answer := triageAnswer{hex.EncodeToString(sum[:]), len(content), a.files, len(doc.Processes), doc.Suspects, doc.Missing}
		if err := json.NewEncoder(cmd.OutOrStdout()).Encode(answer); err != nil {
			return fmt.Errorf("tell what was uploaded: %w", err)
		}
	}
	if len(doc.Missing) > 0 {
		for what, why := range doc.Missing {
			fmt.Fprintf(cmd.ErrOrStderr(), "not taken: %s: %s\n", what, why)
		}
		return &exitError{code: exitUnseen}
	}
	return nil
}

// options say what is taken here.
func (f *triageFlags) options(cmd *cobra.Command) triage.Options {
	o := triage.Options{Memory: f.memory, PIDs: f.pids, Limit: f.limit << 20}
	o.Observe = func(context.Context) (facts.Server, error) { return f.look.observe(cmd) }
	o.Written = ownFiles(cmd, f.look.config)
	return o
}

// ownFiles are those that rocca wrote here, with their hashes; none on a server
// that it did not set up.
func ownFiles(cmd *cobra.Command, file string) map[string]string {
	defaults, err := configDefaults()
	if err != nil {
		return nil
	}
	c, err := config.Load(file, defaults)
	if err != nil {
		return nil // Observe tells it
	}
	about, _, err := own(cmd.Context(), c)
	if err != nil || !about.Installed {
		return nil
	}
	known, err := written(cmd.Context(), c, about.Release)
	if err != nil {
		return nil
	}
	delete(known, blueprint.ProgramRecord) // what it must hold is not known from the configuration
	if about.Recorded != "" {
		known[blueprint.TimerProgram] = about.Recorded
	}
	return known
}

// triageArchive is the archive as it grows.
type triageArchive struct {
	content bytes.Buffer
	packed  *gzip.Writer
	tar     *tar.Writer
	secrets []secret.Secret
	files   int
}

func newTriageArchive() *triageArchive {
	a := &triageArchive{}
	a.packed = gzip.NewWriter(&a.content)
	a.tar = tar.NewWriter(a.packed)
	return a
}

func (a *triageArchive) hide(secrets ...secret.Secret) { a.secrets = append(a.secrets, secrets...) }

func (a *triageArchive) put(name string, fill func(io.Writer) error) error {
	var whole bytes.Buffer
	masked := incident.NewMask(&whole, incident.Forms(a.secrets))
	if err := fill(masked); err != nil {
		return err
	}
	if err := masked.Flush(); err != nil {
		return err
	}
	header := &tar.Header{Name: name, Mode: 0o600, Size: int64(whole.Len()), ModTime: time.Now()}
	if err := a.tar.WriteHeader(header); err != nil {
		return err
	}
	a.files++
	_, err := a.tar.Write(whole.Bytes())
	return err
}

func (a *triageArchive) end() ([]byte, error) {
	if err := errors.Join(a.tar.Close(), a.packed.Close()); err != nil {
		return nil, fmt.Errorf("pack what was taken: %w", err)
	}
	return a.content.Bytes(), nil
}

// readUploadAddress reads one line. What is wrong with it is told without it:
// whoever has the address can write there.
func readUploadAddress(r io.Reader) (*url.URL, error) {
	const longest = 16 << 10
	line, err := bufio.NewReader(io.LimitReader(r, longest)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the address for the upload: %w", err)
	}
	address, err := url.Parse(strings.TrimSpace(line))
	if err != nil || address.Host == "" {
		return nil, errors.New("read the address for the upload: standard input has no URL\nhint: give a presigned https address in its first line")
	}
	ip := net.ParseIP(address.Hostname())
	if address.Scheme != "https" && !(address.Scheme == "http" && ip != nil && ip.IsLoopback()) {
		return nil, errors.New("read the address for the upload: it is no https address")
	}
	return address, nil
}

// upload puts content at a presigned address.
func upload(ctx context.Context, address *url.URL, content []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, address.String(), bytes.NewReader(content))
	if err != nil {
		return errors.New("upload what was taken: the address cannot be used")
	}
	// A bucket with Object Lock takes nothing without a checksum, and this one
	// need not be a part of the signature.
	sum := md5.Sum(content) //nolint:gosec // against errors on the way; the case has the SHA-256
	request.Header.Set("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(request)
	if err != nil {
		var of *url.Error // which names the address
		if errors.As(err, &of) {
			err = of.Err
		}
		return fmt.Errorf("upload what was taken to %s: %w", address.Hostname(), err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("upload what was taken to %s: it answers %d\nhint: the address may be too old; -o keeps it in a file", address.Hostname(), answer.StatusCode)
	}
	return nil
}
