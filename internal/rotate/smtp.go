package rotate

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"strings"

	"rocca/internal/secret"
)

// Mail is how Matomo sends mail, as its configuration says ([mail]).
type Mail struct {
	Host     string
	Port     string
	User     string
	Implicit bool // TLS from the first byte
	Plain    bool // no TLS at all
}

// Mail reads how the console sends mail.
func (h *Host) Mail() (Mail, error) {
	f := h.pools()[0]
	parsed, err := h.parse(f)
	if err != nil {
		return Mail{}, err
	}
	get := func(key string) string { text, _ := parsed.Get("mail", key); return text }
	m := Mail{Host: get("host"), User: get("username")}
	encryption := strings.ToLower(get("encryption"))
	m.Port = cmp.Or(get("port"), map[bool]string{true: "465", false: "25"}[encryption == "ssl"])
	m.Implicit, m.Plain = encryption == "ssl", encryption == "none"
	if !strings.EqualFold(get("transport"), "smtp") || m.Host == "" || m.User == "" {
		return m, fmt.Errorf("look how mail is sent: [mail] of %s has no transport = smtp with host and username: there is no password to change\nhint: set them there first", f.Path)
	}
	return m, nil
}

// LogIn tries a password at the mail server, by verified TLS only, and sends
// nothing. roots may be nil: then those of the system.
func (m Mail) LogIn(ctx context.Context, password secret.Secret, roots *x509.CertPool) error {
	fail := func(err error) error {
		return fmt.Errorf("log in to the mail server %s as %s: %w", net.JoinHostPort(m.Host, m.Port), m.User, err)
	}
	if m.Plain {
		return fail(errors.New("encryption = none, and rocca sends no password without TLS"))
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(m.Host, m.Port))
	if err != nil {
		return fail(err)
	}
	defer conn.Close()
	if end, has := ctx.Deadline(); has {
		_ = conn.SetDeadline(end)
	}
	verified := &tls.Config{ServerName: m.Host, RootCAs: roots, MinVersion: tls.VersionTLS12}
	if m.Implicit {
		conn = tls.Client(conn, verified)
	}
	client, err := smtp.NewClient(conn, m.Host)
	if err != nil {
		return fail(err)
	}
	defer client.Close()
	if !m.Implicit {
		if err := client.StartTLS(verified); err != nil {
			return fail(err)
		}
	}
	if err := client.Auth(smtp.PlainAuth("", m.User, password.Reveal(), m.Host)); err != nil {
		return fail(errors.New(withoutSecret(err.Error(), password)))
	}
	return client.Quit()
}

// withoutSecret is for what another program says, which may repeat what it was
// told.
func withoutSecret(text string, s secret.Secret) string {
	return strings.ReplaceAll(text, s.Reveal(), s.String())
}

// SetMailPassword writes the password of the mail server's login into the
// configuration of the console, which alone sends mail.
func (h *Host) SetMailPassword(password secret.Secret) (changed bool, err error) {
	f := h.pools()[0]
	now, err := read(f.Path)
	if err != nil {
		return false, err
	}
	parsed, err := h.parse(f)
	if err != nil {
		return false, err
	}
	parsed.Set("mail", "password", password.Reveal())
	content, err := parsed.Encode()
	if err != nil || bytes.Equal(content, now) {
		return false, err
	}
	return true, h.does("smtp", h.Now, func() error {
		if err := h.step("smtp", "write", "writing "+f.Path); err != nil {
			return err
		}
		return file{f.Path, content, f.Attr}.write()
	})
}
