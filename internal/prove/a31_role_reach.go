package prove

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/aws/instance"
	"rocca/internal/aws/instance/role"
	"rocca/internal/model"
)

var a31 = Attack{
	ID:    "A31",
	Title: "the instance's role reads other secrets and parameters",
	How: `As the role of the instance, which root of it has, it asks AWS for the secret of the database's administrator, for a secret and a parameter of another deployment, and for a list of all buckets. Each must be refused for lack of the right; that there is none of that name is an answer that only who has the right gets.
The instance's own secret is read first, to show that the role works; its value is not kept.
A role cannot be weakened on a throw-away server, so there is no twin.`,
	Risk: "none: five calls of AWS that change nothing; what is refused is in its trail",
	Applies: func(*Target) string {
		if _, err := os.Stat(instance.ConfigPath); errors.Is(err, fs.ErrNotExist) {
			return "this server is not in AWS, or was not made by rocca aws"
		}
		return ""
	},
	Attempt: reachAsRole,
}

// accountsMade is how long after its beginning an instance may read the secret
// of the database's administrator, and a margin.
const accountsMade = 45 * time.Minute

func reachAsRole(ctx context.Context, t *Target, r *Record) error {
	c, err := instance.Read(instance.ConfigPath)
	if err != nil {
		return err
	}
	info, err := os.Stat(instance.ConfigPath)
	if err != nil {
		return fmt.Errorf("look how old this instance is: %w", err)
	}
	if time.Since(info.ModTime()) < accountsMade {
		c.Database.Master = "" // for now it may
	}
	cloud, err := client.Load(ctx, client.Options{Region: c.Region})
	if err != nil {
		return err
	}
	answers, err := role.Try(ctx, cloud, c, Canary())
	for _, a := range answers {
		try := model.Try{Who: "the instance's role", What: "ask AWS: " + a.Call, Where: a.Of, Answer: a.Said, Fell: a.Allowed}
		if a.Allowed {
			try.Reproduce = "rocca prove --only A31 --twin none; [ $? = 4 ]"
		}
		r.Try(try)
	}
	return err
}
