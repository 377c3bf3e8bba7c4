package prove

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"rocca/internal/config"
	"rocca/internal/run"
)

// Weaken takes protections away from this machine. It refuses to do so
// anywhere but on a throw-away server.
//
// Programs of Protection.Remove have these variables: PHP (the branch, "8.2"),
// FRONT ("nginx" or "apache2", the unit), CODE (Matomo's real directory), LINK
// (the link to it), STATE and TRACKER (data directories), NAME (public name).
func Weaken(ctx context.Context, c config.Config, protections []Protection) error {
	if _, err := os.Stat(ThrowawayMark); err != nil {
		return errors.New("take protections away: this is no throw-away server")
	}
	link := filepath.Join(c.Base, "www")
	code, err := filepath.EvalSymlinks(link)
	if err != nil {
		return fmt.Errorf("take protections away: find Matomo: %w", err)
	}
	masters, err := filepath.Glob("/usr/sbin/php-fpm[0-9]*")
	if err != nil || len(masters) == 0 {
		return fmt.Errorf("take protections away: find PHP: %w", errors.Join(err, os.ErrNotExist))
	}
	unit := c.Front
	if unit == config.FrontApache {
		unit = "apache2"
	}
	env := []string{
		"PHP=" + filepath.Base(masters[0])[len("php-fpm"):], "FRONT=" + unit, "CODE=" + code, "LINK=" + link,
		"STATE=" + c.State, "TRACKER=" + c.State + "-tracker", "NAME=" + c.Domain[0],
	}
	for _, p := range protections {
		if _, err := run.Do(ctx, run.Command{Argv: []string{"sh", "-euc", p.Remove}, Env: env}); err != nil {
			return fmt.Errorf("take protection %s away: %w", p.ID, err)
		}
	}
	return nil
}

// withoutOption is a program that changes options of the unit of a pool.
func withoutOption(role string, options ...string) string {
	dir := "/etc/systemd/system/rocca-php@" + role + ".service.d"
	return `printf '[Service]\n` + strings.Join(options, `\n`) + `\n' >` + dir + `/weak.conf
systemctl daemon-reload
systemctl restart rocca-php@` + role + `.service`
}

// withSetting is a program that changes a setting of PHP of the UI's pool.
func withSetting(name, value string) string {
	return `sed -i 's/^` + name + ` =.*/` + strings.TrimSpace(name+" = "+value) + `/' /etc/rocca/php/ui.ini
systemctl restart rocca-php@ui.service`
}
