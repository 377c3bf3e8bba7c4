package respond

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/incident"
)

// BeginBook opens the case of an incident without an instance: the one that was
// begun here before, or a new one.
func (r *Response) BeginBook(ctx context.Context, w Where, about incident.About) (*incident.Case, error) {
	dir := w.Dir
	if dir == "" {
		all, _ := incident.List(w.Root) // what cannot be read is none of ours
		for _, s := range all {
			if s.About.Subject == about.Subject && s.Released.IsZero() {
				dir = s.Dir
			}
		}
	}
	if dir == "" {
		dir = filepath.Join(w.Root, incident.NewID(r.tools.Now(), about.Subject))
	}
	r.id = filepath.Base(dir)
	c, err := incident.Open(dir, about)
	if err != nil {
		return nil, err
	}
	c.Mirror = r.mirror(ctx)
	return c, nil
}

// closing are the steps with which each of them ends.
func (r *Response) closing() []incident.Step {
	return []incident.Step{{
		ID: stepReport, Phase: incident.Document, Title: "Write the report", Again: true,
		Why:    "The 72 hours of GDPR Art. 33 run since it became known.",
		Person: []string{"Decide whether the authority and the people concerned must be told."},
		Plan:   plain("report.md and report.html"), Do: r.step(func(ctx context.Context, c *incident.Case) error {
			return errors.Join(c.Write(), r.keepJournal(ctx, c))
		}),
	}}
}

// StolenKey are the steps for an access key of an IAM user that somebody else
// has. The user's password stays: who holds the key does not hold that.
func (r *Response) StolenKey(user, key string) []incident.Step {
	trail := func(ctx context.Context, c *incident.Case) error {
		taken := []reading{
			{"trail-key.json", "cloudtrail:LookupEvents", func(ctx context.Context, _ Before) ([]byte, error) { return r.recordTrail(ctx, "AccessKeyId", key) }},
			{"user.json", "iam:ListAttachedUserPolicies", func(ctx context.Context, _ Before) ([]byte, error) { return r.recordUser(ctx, user) }},
		}
		var problems []error
		for _, one := range taken {
			problems = append(problems, r.take(ctx, ctx, c, Before{}, one))
		}
		return errors.Join(problems...)
	}
	steps := []incident.Step{
		{
			ID: "record-key", Phase: incident.Assess, Title: "Record what the key was used for", Why: "It only reads, and tells what may have been done with it.",
			Rocca: []string{"CloudTrail of 90 days, the rights of the user"}, Person: []string{"What did it make, and read? Other keys and roles that it made are stolen, too."},
			Plan: plain("cloudtrail:LookupEvents AccessKeyId="+key, "iam:ListAttachedUserPolicies, iam:ListUserPolicies, iam:ListAccessKeys UserName="+user), Do: r.step(trail),
		},
		{
			ID: "cut-key", Phase: incident.Contain, Title: "Switch the key off, and quarantine its user", Why: "A key that is off can be looked at and switched on again; one that is deleted cannot. Sessions that it made live on: a policy denies them.",
			Rocca: []string{"the key is inactive", "AWSCompromisedKeyQuarantineV3 is attached", "sessions older than now are denied"}, Undo: "aws iam update-access-key --status Active, detach-user-policy, delete-user-policy",
			Plan: func(context.Context) ([]string, error) { return lines(r.cutKey(user, key)), nil },
			Do: r.step(func(ctx context.Context, c *incident.Case) error {
				return makeAll(ctx, r.cutKey(user, key), c, "aws iam update-access-key --user-name "+user+" --access-key-id "+key+" --status Active; aws iam detach-user-policy --user-name "+user+" --policy-arn "+quarantine+"; aws iam delete-user-policy --user-name "+user+" --policy-name "+r.denialName())
			}),
			Person: []string{"Make the owner a new key, once it is known how this one got away; better a role, without any key."},
		},
		{
			ID: stepVerify, Phase: incident.Recover, Title: "Prove that the key is off", Why: "Proof, not hope.", Again: true,
			Plan: plain("iam:ListAccessKeys"), Do: r.step(func(ctx context.Context, _ *incident.Case) error { return r.keyIsOff(ctx, user, key) }),
		},
	}
	return append(steps, r.closing()...)
}

// quarantine is AWS's own policy for keys that got away.
const quarantine = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"

func (r *Response) cutKey(user, key string) []call {
	document, _ := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{ // strings always can be
		"Sid": "OlderSessions", "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": map[string]any{"DateLessThan": map[string]string{"aws:TokenIssueTime": r.tools.Now().UTC().Format(time.RFC3339)}},
	}}})
	off := client.Form{"UserName": user, "AccessKeyId": key, "Status": "Inactive"}
	attached := client.Form{"UserName": user, "PolicyArn": quarantine}
	denied := client.Form{"UserName": user, "PolicyName": r.denialName(), "PolicyDocument": string(document)}
	return []call{
		{action: "iam:UpdateAccessKey", input: off, send: func(ctx context.Context) error {
			return client.AskQuery(ctx, r.cloud, "iam:UpdateAccessKey", off, nil)
		}},
		{action: "iam:AttachUserPolicy", input: attached, send: func(ctx context.Context) error {
			return client.AskQuery(ctx, r.cloud, "iam:AttachUserPolicy", attached, nil)
		}},
		{action: "iam:PutUserPolicy", input: denied, send: func(ctx context.Context) error {
			return client.AskQuery(ctx, r.cloud, "iam:PutUserPolicy", denied, nil)
		}},
	}
}

// accessKey is a key of a user, as IAM tells it.
type accessKey struct {
	ID                           string `xml:"AccessKeyId" json:"AccessKeyId"`
	CreateDate, Status, UserName string
}

func (r *Response) accessKeys(ctx context.Context, user string) ([]accessKey, error) {
	var said struct {
		Keys []accessKey `xml:"AccessKeyMetadata>member"`
	}
	err := client.AskQuery(ctx, r.cloud, "iam:ListAccessKeys", client.Form{"UserName": user}, &said)
	return said.Keys, err
}

func (r *Response) keyIsOff(ctx context.Context, user, key string) error {
	keys, err := r.accessKeys(ctx, user)
	if err != nil {
		return fmt.Errorf("look at the keys of %s: %w", user, client.Explain(err))
	}
	for _, k := range keys {
		if k.ID == key && k.Status == "Active" {
			return fmt.Errorf("prove that the key %s is off: it is active\nhint: the same command tries again what failed", key)
		}
	}
	return nil
}

// recordUser reads which rights and keys a user has.
func (r *Response) recordUser(ctx context.Context, user string) ([]byte, error) {
	var attached struct {
		Policies []struct{ PolicyArn, PolicyName string } `xml:"AttachedPolicies>member"`
	}
	if err := client.AskQuery(ctx, r.cloud, "iam:ListAttachedUserPolicies", client.Form{"UserName": user}, &attached); err != nil {
		return nil, err
	}
	var inline struct {
		Names []string `xml:"PolicyNames>member"`
	}
	if err := client.AskQuery(ctx, r.cloud, "iam:ListUserPolicies", client.Form{"UserName": user}, &inline); err != nil {
		return nil, err
	}
	keys, err := r.accessKeys(ctx, user)
	if err != nil {
		return nil, err
	}
	return indented(map[string]any{"user": user, "attached": attached.Policies, "inline": inline.Names, "keys": keys})
}

// ExposedBucket are the steps for a bucket that the world can read.
func (r *Response) ExposedBucket(name string) []incident.Step {
	b := bucket{name, r.cloud}
	const closed = `<PublicAccessBlockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>`
	record := func(ctx context.Context, c *incident.Case) error {
		var problems []error
		for _, one := range []reading{
			{"policy.json", "s3:GetBucketPolicy", func(ctx context.Context, _ Before) ([]byte, error) {
				return b.about(ctx, http.MethodGet, "policy", nil)
			}},
			{"access-list.xml", "s3:GetBucketAcl", func(ctx context.Context, _ Before) ([]byte, error) { return b.about(ctx, http.MethodGet, "acl", nil) }},
			{"public-access-block.xml", "s3:GetBucketPublicAccessBlock", func(ctx context.Context, _ Before) ([]byte, error) {
				return b.about(ctx, http.MethodGet, "publicAccessBlock", nil)
			}},
			{"trail-bucket.json", "cloudtrail:LookupEvents", func(ctx context.Context, _ Before) ([]byte, error) { return r.recordTrail(ctx, "ResourceName", name) }},
		} {
			problems = append(problems, r.take(ctx, ctx, c, Before{}, one))
		}
		return errors.Join(problems...)
	}
	block := call{action: "s3:PutBucketPublicAccessBlock", input: map[string]any{"Bucket": name, "BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true}, send: func(ctx context.Context) error {
		_, err := b.about(ctx, http.MethodPut, "publicAccessBlock", []byte(closed))
		return err
	}}
	steps := []incident.Step{
		{
			ID: "record-bucket", Phase: incident.Assess, Title: "Record who may read the bucket", Why: "Policy and lists of access rights are evidence, and what it takes to go back. It only reads.",
			Rocca: []string{"policy, list of access rights, block of public access, CloudTrail of 90 days"}, Person: []string{"Who read what? The access logs of the bucket tell, where they are on."},
			Plan: plain("s3:GetBucketPolicy, s3:GetBucketAcl, s3:GetBucketPublicAccessBlock "+name, "cloudtrail:LookupEvents ResourceName="+name), Do: r.step(record),
		},
		{
			ID: "close-bucket", Phase: incident.Isolate, Title: "Block all public access", Why: "It works at once, whatever policy and lists say, and they stay as evidence.",
			Rocca: []string{"all four blocks of public access are on"}, Undo: "aws s3api delete-public-access-block --bucket " + name, Plan: plain(block.String()),
			Do: r.step(func(ctx context.Context, c *incident.Case) error {
				return makeAll(ctx, []call{block}, c, "aws s3api delete-public-access-block --bucket "+name)
			}),
			Person: []string{"Take out of the policy what opened the bucket. Whatever secret lay in it is known: rocca aws rotate."},
		},
		{
			ID: stepVerify, Phase: incident.Recover, Title: "Prove that it is closed", Why: "Proof, not hope.", Again: true, Plan: plain("s3:GetBucketPublicAccessBlock"),
			Do: r.step(func(ctx context.Context, _ *incident.Case) error {
				said, err := b.about(ctx, http.MethodGet, "publicAccessBlock", nil)
				if err != nil {
					return fmt.Errorf("prove that %s is closed: %w", name, client.Explain(err))
				}
				if n := strings.Count(string(said), ">true<"); n != 4 {
					return fmt.Errorf("prove that %s is closed: %d of 4 blocks of public access are on", name, n)
				}
				return nil
			}),
		},
	}
	return append(steps, r.closing()...)
}
