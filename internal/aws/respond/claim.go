package respond

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/incident"
	"rocca/internal/secret"
)

// Claim says in the account who responds to what: the object is put only where
// none is.
type Claim struct {
	Case     string    `json:"case"`
	Instance string    `json:"instance"`
	Who      string    `json:"who"` // ARN
	Host     string    `json:"host"`
	At       time.Time `json:"at"`
	Mark     string    `json:"mark"` // random: that it is this one and not one like it
}

// ErrHeld says that another responder has the incident.
var ErrHeld = errors.New("another responder is at it")

// claimKey is under which the claim is, in the bucket and in a case.
func (r *Response) claimKey() string { return "cases/open/" + r.options.Instance + ".json" }

const claimKey = "claim"

// Claimed reads who responds to an incident on the instance; found is false
// when nobody does, or there is no bucket.
func (r *Response) Claimed(ctx context.Context) (held Claim, found bool, err error) {
	if r.bucket.name == "" {
		return held, false, nil
	}
	content, err := r.bucket.get(ctx, r.claimKey())
	if noObject(err) {
		return held, false, nil
	}
	if err != nil {
		return held, false, fmt.Errorf("look who responds already: %w", client.Explain(err))
	}
	if err := json.Unmarshal(content, &held); err != nil {
		return held, false, fmt.Errorf("look who responds already: read s3://%s/%s: %w", r.bucket.name, r.claimKey(), err)
	}
	return held, true, nil
}

// Where says where cases are kept.
type Where struct {
	Root string // of all cases, such as incidents
	Dir  string // of this one; empty: below Root, by its name
	Join string // the case of another responder
}

// Begin opens the case of an incident: a new one, the one that was begun here
// before, or that of another responder who is joined. Everything else of
// another responder is refused with ErrHeld.
func (r *Response) Begin(ctx context.Context, w Where, about incident.About, b Before) (*incident.Case, error) {
	dir, err := r.directory(w)
	if err != nil {
		return nil, err
	}
	r.id = filepath.Base(dir)
	var own Claim
	begun := kept(dir, claimKey, &own)
	held, found, unread := r.Claimed(ctx)
	if hopeless(ctx, unread) {
		return nil, unread
	}
	switch {
	case w.Join != "" && (!found || held.Case != w.Join):
		return nil, errors.Join(fmt.Errorf("join the case %s: nobody has it open for %s\nhint: rocca aws respond status --instance %[2]s", w.Join, r.options.Instance), unread)
	case w.Join == "" && found && !(begun && held.Mark == own.Mark):
		return nil, fmt.Errorf("respond on %s: %w: %s of %s on %s, since %s\nhint: agree with them; --join %[3]s works on the same case", r.options.Instance, ErrHeld, held.Case, held.Who, held.Host, held.At.Format(time.DateTime))
	case w.Join == "" && !found && !begun && b.Case != "" && b.Case != r.id:
		return nil, fmt.Errorf("respond on %s: %w: its tag names the case %s\nhint: --join %[3]s; or, when that one is over, aws ec2 delete-tags --resources %[1]s --tags Key=rocca:case", r.options.Instance, ErrHeld, b.Case)
	}
	c, err := incident.Open(dir, about)
	if err != nil {
		return nil, err
	}
	c.Mirror = r.mirror(ctx)
	if err := r.claim(ctx, c, held, found, unread, w.Join != ""); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// directory is where the case is, or will be.
func (r *Response) directory(w Where) (string, error) {
	switch {
	case w.Join != "" && w.Dir == "":
		if !filepath.IsLocal(w.Join) || strings.ContainsAny(w.Join, `/\`) {
			return "", fmt.Errorf("join the case %q: that is no name of one", w.Join)
		}
		return filepath.Join(w.Root, w.Join), nil
	case w.Dir != "":
		return filepath.Clean(w.Dir), nil
	}
	if s, found := Latest(w.Root, r.options.Instance); found && s.Released.IsZero() {
		return s.Dir, nil
	}
	return filepath.Join(w.Root, r.NewCase()), nil
}

// NewCase names a case that begins now.
func (r *Response) NewCase() string {
	r.id = incident.NewID(r.tools.Now(), r.options.Instance)
	return r.id
}

// Latest is the newest case of an instance that is kept below a directory. One
// that cannot be read is passed over.
func Latest(root, instance string) (incident.Story, bool) {
	all, _ := incident.List(root)
	for _, s := range slices.Backward(all) {
		if slices.Contains(strings.Fields(s.About.Subject), instance) {
			return s, true
		}
	}
	return incident.Story{}, false
}

// Subject is what a case on an instance is about.
func Subject(instance, deployment string) string {
	return "instance " + instance + " of deployment " + deployment
}

// kept reads state of a case that is not open.
func kept(dir, key string, state any) bool {
	content, err := os.ReadFile(filepath.Join(dir, "state", key+".json"))
	return err == nil && json.Unmarshal(content, state) == nil
}

// claim puts the claim into the account, or takes over that of who is joined.
// Without a bucket, or the right to it, it goes on and says so.
func (r *Response) claim(ctx context.Context, c *incident.Case, held Claim, found bool, unread error, join bool) error {
	if join {
		if err := r.adopt(ctx, c); err != nil {
			return err
		}
		return errors.Join(c.Save(claimKey, held), c.Note(fmt.Sprintf("joined the case of %s on %s, open since %s", held.Who, held.Host, held.At.Format(time.DateTime))))
	}
	if found {
		return nil // our own
	}
	host, _ := os.Hostname()
	own := Claim{Case: r.id, Instance: r.options.Instance, Who: r.who.ARN, Host: host, At: r.tools.Now().UTC(), Mark: secret.Random(16).Reveal()}
	if err := c.Save(claimKey, own); err != nil {
		return err
	}
	if _, err := c.Load(claimKey, &own); err != nil { // of before a kill
		return err
	}
	lone := func(why string) error {
		return c.NotTaken("lock in the account", why+"; a second responder elsewhere would not be told")
	}
	if unread != nil || r.bucket.name == "" {
		return lone(cmp.Or(unread, errNoBucket).Error())
	}
	content, err := json.Marshal(own)
	if err != nil {
		return err
	}
	err = r.bucket.putFirst(ctx, r.claimKey(), content)
	if taken(err) {
		return fmt.Errorf("respond on %s: %w: they were faster by a moment\nhint: rocca aws respond status --instance %[1]s", r.options.Instance, ErrHeld)
	}
	if hopeless(ctx, err) {
		return client.Explain(err)
	}
	if err != nil {
		return lone(client.Explain(err).Error())
	}
	return c.Changed("s3:PutObject s3://"+r.bucket.name+"/"+r.claimKey(), releaseFor(Before{Instance: r.options.Instance}))
}

// adopt brings the state before the response from the bucket: what is there now
// is what the first responder has changed.
func (r *Response) adopt(ctx context.Context, c *incident.Case) error {
	content, err := r.bucket.get(ctx, r.key(stateKey+".json"))
	if noObject(err) {
		return nil // they have not come to that
	}
	if err != nil {
		return fmt.Errorf("fetch the state before the response: %w", client.Explain(err))
	}
	var b Before
	if err := json.Unmarshal(content, &b); err != nil || b.Instance != r.options.Instance {
		return fmt.Errorf("fetch the state before the response: s3://%s/%s is not of %s", r.bucket.name, r.key(stateKey+".json"), r.options.Instance)
	}
	return c.Save(stateKey, b)
}

// mostMirrored caps what is copied into the bucket at once, in bytes.
const mostMirrored = 256 << 20

// mirror copies evidence into the bucket.
func (r *Response) mirror(ctx context.Context) func(incident.Evidence, string) error {
	return func(e incident.Evidence, path string) error {
		if e.Name == triageFile { // it comes from there
			return nil
		}
		if e.Size > mostMirrored {
			return fmt.Errorf("it has %d bytes\nhint: aws s3 cp %s s3://%s/%s", e.Size, path, r.bucket.name, r.key(e.Name))
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return r.keep(ctx, e.Name, content)
	}
}

func (r *Response) planOpen(context.Context) ([]string, error) {
	if r.bucket.name == "" {
		return []string{"nothing: " + strings.ReplaceAll(errNoBucket.Error(), "\n", "; ")}, nil
	}
	return []string{"s3:PutObject s3://" + r.bucket.name + "/" + r.claimKey(), "s3:PutObject s3://" + r.bucket.name + "/" + r.key("...")}, nil
}

// open writes down who responds to what, also into the bucket, and keeps the
// state that is there: release needs it.
func (r *Response) open(ctx context.Context, c *incident.Case) error {
	b, err := r.before(ctx, c)
	if err != nil {
		return err
	}
	_, err = c.PutJSON("case.json", "rocca aws respond", map[string]any{"case": r.id, "instance": b.Instance, "deployment": b.Deployment, "operator": c.About.Operator, "known": c.About.Known, "rehearsal": c.About.Rehearsal})
	return err
}

// Know makes this the answer to a case that was begun: a dry run needs no more.
func (r *Response) Know(s incident.Story) {
	r.id = s.ID
	var b Before
	if kept(s.Dir, stateKey, &b) {
		r.found = &b
	}
}
