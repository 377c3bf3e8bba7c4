package blueprint

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rocca/internal/collect/front"
	"rocca/internal/config"
)

// Verify asks the finished server for what must work and for what must be
// refused, the way a visitor would. Nothing is recorded by it.
func Verify(ctx context.Context, c config.Config, address string) error {
	if err := front.Await(ctx, address); err != nil {
		return err
	}
	main := c.Domain[0]
	// What another machine does must not be here.
	served := func(role string, good func(front.Answer) bool) func(front.Answer) bool {
		if !c.Does(role) {
			return func(a front.Answer) bool { return a.Status == 404 }
		}
		return good
	}
	var problems []error
	for _, look := range []struct {
		front.Request
		what string
		good func(front.Answer) bool
	}{
		{front.Request{Host: main, Path: "/index.php"}, "the login page", served(config.RoleUI, func(a front.Answer) bool {
			return a.Status == 200 || len(c.AdminNetworks) > 0 && a.Status == 403
		})},
		// A site that does not exist: the tracker has to ask the database.
		{front.Request{Host: main, Path: "/matomo.php", Body: `{"requests":["?idsite=999999999&rec=1"]}`}, "the tracker", served(config.RoleTracker, func(a front.Answer) bool {
			return a.Status == 200 && strings.Contains(a.Body, `"status":"success"`)
		})},
		{front.Request{Host: main, Path: "/matomo.js"}, "the tracker's script", served(config.RoleTracker, func(a front.Answer) bool { return a.Status == 200 })},
		{front.Request{Host: main, Path: "/config/config.ini.php"}, "config.ini.php, which must be refused", refused},
		{front.Request{Host: main, Path: "/bootstrap.php"}, "bootstrap.php, which must be refused", refused},
		{front.Request{Host: "unknown.invalid", Path: "/index.php"}, "an unknown name, which must be refused", refused},
	} {
		answer, err := front.Ask(ctx, address, look.Request)
		if err != nil {
			return err
		}
		if !look.good(answer) {
			problems = append(problems, fmt.Errorf("ask for %s (https://%s%s): status %d %s", look.what, look.Host, look.Path, answer.Status, firstLine(answer.Body)))
		}
	}
	return errors.Join(problems...)
}

func refused(a front.Answer) bool { return a.Refused || a.Status >= 400 && a.Status < 500 }

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line[:min(len(line), 200)]
}
