package prove

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var a02 = Attack{
	ID:    "A02",
	Title: "another pool includes a file of Matomo's that a shared OPcache holds, or asks OPcache what it holds",
	How: "For each two pools of different users: a file of PHP with a secret, which only the first pool's user can read, is included by the first pool, so that its OPcache holds it. " +
		"The second pool then includes it by its path, which succeeds only without reading it. In the other direction, too. " +
		"Each pool of Matomo also asks OPcache for the list of scripts that it holds.",
	Risk:    "none: one small file with a random name takes some room in OPcache until PHP is restarted",
	Without: []Protection{ownMaster, opcacheAPI},
	Applies: func(t *Target) string {
		if len(t.MatomoPools()) == 0 {
			return "no pool of Matomo was found"
		}
		return ""
	},
	Attempt: attemptOPcache,
}

var ownMaster = Protection{
	ID:    "own-master",
	Title: "each pool has a master of its own, and so an OPcache of its own",
	Part:  UIUnit,
	// Debian's own master, which is masked, with both pools and its own settings.
	Remove: `systemctl stop rocca-php@ui.socket rocca-php@tracker.socket rocca-php@ui.service rocca-php@tracker.service
systemctl disable --quiet rocca-php@ui.socket rocca-php@tracker.socket rocca-php@ui.service rocca-php@tracker.service
rm -f /etc/php/"$PHP"/fpm/pool.d/*.conf
for role in ui tracker; do
	user=matomo data=$STATE
	[ $role = ui ] || user=matomo-tracker data=$TRACKER
	printf '[%s]\nuser = %s\ngroup = %s\nlisten = /run/matomo/%s.sock\nlisten.owner = root\nlisten.group = www-data\nlisten.mode = 0660\npm = static\npm.max_children = 2\nenv[MATOMO_DATA] = %s\nphp_admin_value[opcache.restrict_api] = /nowhere\n' \
		$role $user $user $role "$data" >/etc/php/"$PHP"/fpm/pool.d/$role.conf
done
mkdir -p /run/matomo
systemctl unmask --quiet php"$PHP"-fpm.service
systemctl restart php"$PHP"-fpm.service`,
	Controls: []string{"ISO-11"},
}

var opcacheAPI = Protection{
	ID:       "opcache-api",
	Title:    "no script of the UI's pool may ask OPcache what it holds",
	Part:     UIUnit,
	Remove:   withSetting("opcache.restrict_api", ""),
	Controls: []string{"ISO-06"},
}

func attemptOPcache(ctx context.Context, t *Target, r *Record) error {
	pools := t.PHP.Pools
	for _, owner := range pools {
		for _, other := range pools {
			// What becomes of pools that are both others' is not about Matomo.
			if owner.User == other.User || owner.Role == "" && other.Role == "" {
				continue
			}
			if err := t.includeCached(ctx, r, owner, other); err != nil {
				return err
			}
		}
	}
	for _, pool := range t.MatomoPools() {
		ask := deed{
			What: "ask OPcache what it holds", Where: "opcache_get_status()",
			PHP: `$s = opcache_get_status(true); return is_array($s) && $s['opcache_enabled'] ? count($s['scripts']) . ' scripts ' . array_key_first($s['scripts']) : '';`,
		}
		if err := t.tryInPool(ctx, r, pool, []deed{ask}); err != nil {
			return err
		}
	}
	return nil
}

// cachedAfter is the age from which OPcache takes a file
// (opcache.file_update_protection is two seconds).
const cachedAfter = time.Hour

// includeCached has the owner's pool cache a file of its own, and the other
// include it.
func (t *Target) includeCached(ctx context.Context, r *Record, owner, other facts.Pool) error {
	secret := Canary()
	dir := path.Join(scriptDir(owner), Canary())
	file := path.Join(dir, Canary()+".php")
	long := time.Now().Add(-cachedAfter)
	if err := errors.Join(t.PlantDir(dir, "root", 0o711), t.Plant(file, owner.User, 0o400, "<?php return '"+secret+"';"), os.Chtimes(file, long, long)); err != nil {
		return err
	}
	include := "return include " + phpText(file) + ";"
	// Twice: it is held after the first time.
	held, err := t.inPool(ctx, owner, []deed{{PHP: include}, {PHP: include}})
	if err != nil {
		return err
	}
	if held[1].Got != secret {
		return fmt.Errorf("have the pool %s include its own file: %s", owner.Name, held[1].Why)
	}
	came, err := t.inPool(ctx, other, []deed{{PHP: include}, {PHP: "return file_get_contents(" + phpText(file) + ");"}})
	if err != nil {
		return err
	}
	if came[1].Got != "" {
		return fmt.Errorf("have the pool %s include what only %s can read: it can read it, too", other.Name, owner.User)
	}
	try := model.Try{
		Who: "PHP of the pool " + other.Name, What: "include a file of " + owner.User + " that it cannot read", Where: "OPcache of the pool " + owner.Name,
		Sent: include, Answer: came[0].Why, Fell: came[0].Got == secret,
	}
	if try.Fell {
		try.Answer = "the secret in it: " + secret[:len("rocca-prove-")+2] + "..."
		try.Reproduce = t.includeAgain(owner, other)
	}
	r.Try(try)
	return nil
}

// includeAgain is a command that has a pool include what another has cached.
func (t *Target) includeAgain(owner, other facts.Pool) string {
	dir := path.Join(scriptDir(owner), canaryAgain+"-cached")
	file := path.Join(dir, "x.php")
	include := deed{PHP: "return include " + phpText(file) + ";"}
	setUp := []string{
		"rm -rf " + dir, "mkdir -m 711 " + dir,
		"(umask 077; echo " + base64Text("<?php return 'the secret';") + " | base64 -d >" + file + ")", "chown " + owner.User + " " + file, "touch -d yesterday " + file,
		t.deedAgain(owner, include),
	}
	return tidily(setUp, t.deedAgain(other, include), "rm -r "+dir)
}
