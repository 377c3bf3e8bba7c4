package rotate

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/secret"
)

// cacheUser is Matomo's account in ElastiCache, and cacheSecret the secret that
// CloudFormation gives it the password from, see stack/templates/data.yaml.
func (d *Deployment) cacheUser() string   { return d.Name + "-matomo" }
func (d *Deployment) cacheSecret() string { return "rocca/" + d.Name + "/cache" }

// cacheTakes has the cache take the passwords of these versions of the app
// secret, and no others.
func (j *job) cacheTakes(ctx context.Context, step string, versions ...string) error {
	form := client.Form{"UserId": j.d.cacheUser(), "AuthenticationMode.Type": "password"}
	for i, version := range versions {
		password, err := j.cachePasswordOf(ctx, version)
		if err != nil {
			return err
		}
		form["AuthenticationMode.Passwords.member."+strconv.Itoa(i+1)] = password.Reveal()
	}
	if err := j.d.awaitCache(ctx, step); err != nil {
		return err
	}
	if err := client.AskQuery(ctx, j.d.Cloud, "elasticache:ModifyUser", form, nil); err != nil {
		return fmt.Errorf("give passwords to the account %s of the cache: %w", j.d.cacheUser(), client.Explain(err))
	}
	return j.d.awaitCache(ctx, step)
}

// cacheOnly has the cache take the password of one version, which is first kept
// where CloudFormation would look for it.
func (j *job) cacheOnly(ctx context.Context, step, version string) error {
	password, err := j.cachePasswordOf(ctx, version)
	if err != nil {
		return err
	}
	if err := j.keep(ctx, password); err != nil {
		return err
	}
	return j.cacheTakes(ctx, step, version)
}

// keep writes the password into the cache's own secret, unless it is there.
func (j *job) keep(ctx context.Context, password secret.Secret) error {
	id := j.d.cacheSecret()
	var answer struct{ SecretString string }
	if err := client.Ask(ctx, j.d.Cloud, "secretsmanager:GetSecretValue", client.Fields{"SecretId": id, "VersionStage": labelCurrent}, &answer); err != nil {
		return fmt.Errorf("read the secret %s: %w", id, client.Explain(err))
	}
	if answer.SecretString == password.Reveal() {
		return nil
	}
	if err := j.d.put(ctx, id, newVersion(), password, labelCurrent); err != nil {
		return fmt.Errorf("put the password of the cache into the secret %s: %w", id, client.Explain(err))
	}
	return nil
}

// cachePatience is how long a change of an account may take, usually seconds.
const cachePatience = 15 * time.Minute

// awaitCache returns when the account is not being changed.
func (d *Deployment) awaitCache(ctx context.Context, step string) error {
	for end := time.Now().Add(cachePatience); ; {
		var answer struct {
			Status []string `xml:"Users>member>Status"`
		}
		if err := client.AskQuery(ctx, d.Cloud, "elasticache:DescribeUsers", client.Form{"UserId": d.cacheUser()}, &answer); err != nil {
			return fmt.Errorf("look at the account %s of the cache: %w", d.cacheUser(), client.Explain(err))
		}
		if len(answer.Status) == 1 && answer.Status[0] == "active" {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("wait for the account %s of the cache: after %s it is %v still", d.cacheUser(), minutes(cachePatience), answer.Status)
		}
		d.note(step, "the account %s of the cache is %v", d.cacheUser(), answer.Status)
		if err := d.rest(ctx); err != nil {
			return err
		}
	}
}
