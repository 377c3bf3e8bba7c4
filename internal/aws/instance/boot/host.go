package boot

import (
	"context"
	"errors"
	"fmt"

	"rocca/internal/aws/client"
	"rocca/internal/secret"
)

// Host is an instance that is up, and what its role may read.
type Host struct{ boot *boot }

// OpenHost finds out which instance of which deployment this is.
func OpenHost(ctx context.Context, o Options) (*Host, error) {
	b, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Host{b}, b.resolve(ctx)
}

// Secrets fetches a version of the app secret, the current one when empty, and
// derives what the instance works with. On an instance with a database of its
// own there are no accounts among it.
func (h *Host) Secrets(ctx context.Context, version string) (Secrets, error) {
	return h.boot.secrets(ctx, version)
}

// Administrator reads the login of the database's administrator. An instance may
// do so for half an hour after its owner gave it the right.
func (h *Host) Administrator(ctx context.Context) (user string, password secret.Secret, err error) {
	if h.boot.config.Database.Master == "" {
		return "", secret.Secret{}, errors.New("read the administrator's secret: this instance has a database of its own, which needs none")
	}
	a, err := h.boot.administrator(ctx)
	if client.Denied(err) {
		err = fmt.Errorf("%w\nhint: on your own computer: rocca aws provision", err)
	}
	if err != nil {
		return "", secret.Secret{}, fmt.Errorf("read the administrator's secret: %w", err)
	}
	return a.user, a.password, nil
}
