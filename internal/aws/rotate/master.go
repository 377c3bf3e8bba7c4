package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rocca/internal/aws/client"
)

// database is an RDS instance.
type database struct {
	Status string   `xml:"DBInstanceStatus"`
	Master struct { // empty: RDS does not keep the administrator's password
		ARN    string `xml:"SecretArn"`
		Status string `xml:"SecretStatus"`
	} `xml:"MasterUserSecret"`
}

func (d *Deployment) database(ctx context.Context) (database, error) {
	var answer struct {
		Databases []database `xml:"DBInstances>DBInstance"`
	}
	if err := client.AskQuery(ctx, d.Cloud, "rds:DescribeDBInstances", client.Form{"DBInstanceIdentifier": d.Database}, &answer); err != nil {
		return database{}, fmt.Errorf("look at the database %s: %w", d.Database, client.Explain(err))
	}
	if len(answer.Databases) != 1 {
		return database{}, fmt.Errorf("look at the database %s: it is not there", d.Database)
	}
	return answer.Databases[0], nil
}

// masterVersion is the version of the administrator's secret that is in use.
func (d *Deployment) masterVersion(ctx context.Context, arn string) (string, error) {
	var answer struct {
		Versions map[string][]string `json:"VersionIdsToStages"`
	}
	if err := client.Ask(ctx, d.Cloud, "secretsmanager:DescribeSecret", client.Fields{"SecretId": arn}, &answer); err != nil {
		return "", fmt.Errorf("look at the secret of the database's administrator: %w", client.Explain(err))
	}
	for version, labels := range answer.Versions {
		if slices.Contains(labels, labelCurrent) {
			return version, nil
		}
	}
	return "", nil
}

// rotating is the state of the administrator's secret while RDS changes it.
const rotating = "rotating"

func (d *Deployment) planMaster(ctx context.Context, p *Plan) error {
	if d.Database == "" {
		return errors.New("the database is on the server itself, whose administrator has no password\nhint: nothing is to be done")
	}
	now, err := d.database(ctx)
	if err != nil {
		return err
	}
	if now.Master.ARN == "" {
		return fmt.Errorf("the password of the administrator of %s is not kept by RDS (MasterUserSecret)\nhint: rocca aws plan shows what differs from what rocca deploys", d.Database)
	}
	if now.Status != "available" && now.Master.Status != rotating {
		return fmt.Errorf("the database %s is %s\nhint: try again when it is available", d.Database, now.Status)
	}
	if now.Master.Status == "impaired" {
		return fmt.Errorf("the secret of the administrator of %s is impaired, and RDS cannot change it\nhint: can RDS use the key of the secret? aws secretsmanager describe-secret --secret-id %s", d.Database, now.Master.ARN)
	}
	before, err := d.masterVersion(ctx, now.Master.ARN)
	if err != nil {
		return err
	}
	asked := now.Master.Status != rotating
	if !asked {
		p.State = "RDS is changing the password"
	} else {
		p.Steps = append(p.Steps, Step{Name: "ask", Text: "RDS is asked for a new password, at once", Usual: usualCall, do: func(ctx context.Context) error {
			err := client.AskQuery(ctx, d.Cloud, "rds:ModifyDBInstance", client.Form{"DBInstanceIdentifier": d.Database, "RotateMasterUserPassword": "true", "ApplyImmediately": "true"}, nil)
			if err != nil {
				return fmt.Errorf("ask RDS for a new password of %s: %w", d.Database, client.Explain(err))
			}
			return nil
		}})
	}
	p.Steps = append(p.Steps, Step{Name: "new password", Text: "RDS changes it in the database and in its own secret, which nobody else reads", Usual: usualModify, do: func(ctx context.Context) error {
		return d.awaitMaster(ctx, before, asked)
	}})
	p.Notice = []string{"users notice nothing: Matomo does not use this account"}
	return nil
}

// awaitMaster returns when the administrator has another password.
func (d *Deployment) awaitMaster(ctx context.Context, before string, asked bool) error {
	for end := time.Now().Add(d.Wait); ; {
		now, err := d.database(ctx)
		if err != nil {
			return err
		}
		version, err := d.masterVersion(ctx, now.Master.ARN)
		if err != nil {
			return err
		}
		switch {
		case now.Master.Status == "impaired":
			return fmt.Errorf("the secret of the administrator of %s is impaired, and RDS has not changed it\nhint: can RDS use the key of the secret? aws secretsmanager describe-secret --secret-id %s", d.Database, now.Master.ARN)
		case now.Master.Status == "active" && (version != before || !asked):
			return nil
		case time.Now().After(end):
			return fmt.Errorf("waited %s: the secret of the administrator of %s is %s still\nhint: %s looks again", minutes(d.Wait), d.Database, now.Master.Status, d.command(Master, Begin))
		}
		d.note("new password", "the secret is %s", now.Master.Status)
		if err := d.rest(ctx); err != nil {
			return err
		}
	}
}
