#!/bin/bash
# Written by rocca for the deployment stats. It fetches rocca, checks it, and
# leaves the rest to it: journalctl -u rocca-boot.service. There is no secret in here.
set -Eeuo pipefail
umask 022
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

# Whoever waits for this instance hears at once that it will not come.
give_up() {
	trap - ERR
	echo "rocca: user data failed: $1" | tee /dev/console >&2 || true
	if [ -x /usr/local/sbin/rocca ] && [ -e /etc/rocca/instance.yaml ]; then
		/usr/local/sbin/rocca aws boot --failed "$1" || true
	fi
	exit 1
}
trap 'give_up "line $LINENO: $BASH_COMMAND"' ERR

apt_get() { apt-get --quiet --yes --option DPkg::Lock::Timeout=300 --option Acquire::Retries=3 "$@"; }

# fetch URL SHA256 FILE MODE: nothing is used, or has its name, before it was checked.
fetch() {
	local part
	part=$(mktemp "$3.XXXXXXXX")
	curl --silent --show-error --fail --location --proto '=https' --tlsv1.2 --globoff \
		--connect-timeout 10 --max-time 900 --retry 8 --retry-all-errors --retry-max-time 300 --output "$part" --url "$1"
	echo "$2  $part" | sha256sum --check --strict --quiet || give_up "$1 is not what was pinned"
	chmod "$4" "$part"
	mv --no-target-directory "$part" "$3"
}

if ! command -v curl >/dev/null; then
	apt_get update
	apt_get install --no-install-recommends curl ca-certificates
fi

install --directory --mode 0755 /etc/rocca /usr/local/sbin
cat >/etc/rocca/instance.yaml.new <<'END-OF-FILE'
deployment: stats
region: eu-central-1
signal:
  stack: stats-app
  resource: Ready
secret: arn:aws:secretsmanager:eu-central-1:123456789012:secret:rocca/stats/app-AbCdEf
domain:
- stats.example.org
email: owner@example.org
roles:
- tracker
- ui
- worker
server:
  privacy:
    raw_days: 90
END-OF-FILE
chmod 0600 /etc/rocca/instance.yaml.new
mv --no-target-directory /etc/rocca/instance.yaml.new /etc/rocca/instance.yaml
fetch https://rocca-stats.s3.eu-central-1.amazonaws.com/rocca-arm64 a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1 /usr/local/sbin/rocca 0755

# Who may, lets a key in for a minute by EC2 Instance Connect: no password, no
# key pair, and no key on the disk. admin is the user of Debian's images.
if [ -d /etc/ssh/sshd_config.d ]; then
	cat >/etc/ssh/sshd_config.d/80-rocca-keys.conf <<'END-OF-FILE'
AuthorizedKeysCommand /usr/local/sbin/rocca aws keys %u
AuthorizedKeysCommandUser nobody
AllowUsers admin
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
END-OF-FILE
	systemctl reload ssh.service
fi

# The data volume. It outlives this instance, so that a file system on it is
# used as it is, and one is made only where there has never been anything.
volume=vol-0123456789abcdef0
serial=$(echo "$volume" | tr -d -)
device() {
	local name
	for name in "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_$serial" /dev/sdf /dev/xvdf; do
		if [ -b "$name" ]; then
			readlink --canonicalize "$name"
			return
		fi
	done
	return 1
}
tries=120
until disk=$(device); do
	[ "$tries" -gt 0 ] || give_up "the volume $volume was not attached within 10 minutes"
	tries=$((tries - 1))
	sleep 5
done
found=0
blkid --probe "$disk" >/dev/null || found=$?
if [ "$found" = 2 ] && cmp --silent --bytes=1048576 "$disk" /dev/zero; then
	mkfs.ext4 -q -L rocca-data "$disk"
elif [ "$found" != 0 ] || [ "$(blkid --output value --match-tag TYPE "$disk")" != ext4 ]; then
	give_up "the volume $volume is neither blank nor has an ext4 file system"
fi
uuid=$(blkid --output value --match-tag UUID "$disk")

# Owners are kept as numbers: they must be the same on every instance.
id=960
for user in mysql matomo matomo-tracker; do
	id -u "$user" >/dev/null 2>&1 || useradd --system --uid "$id" --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$user"
	id=$((id + 1))
done
mkdir --parents /srv/data
grep --quiet "^UUID=$uuid " /etc/fstab || echo "UUID=$uuid /srv/data ext4 nodev,nosuid,noexec,nofail,x-systemd.device-timeout=5min 0 2" >>/etc/fstab
mountpoint --quiet /srv/data || mount /srv/data
for name in mysql matomo matomo-tracker; do
	mkdir --parents "/srv/data/$name" "/var/lib/$name"
	grep --quiet "^/srv/data/$name " /etc/fstab || echo "/srv/data/$name /var/lib/$name none bind,nodev,nosuid,noexec,nofail,x-systemd.requires-mounts-for=/srv/data 0 0" >>/etc/fstab
	mountpoint --quiet "/var/lib/$name" || mount "/var/lib/$name"
done
# Without the volume there is no database, rather than an empty one.
install --directory --mode 0755 /etc/systemd/system/mariadb.service.d
cat >/etc/systemd/system/mariadb.service.d/rocca-data.conf <<'END-OF-FILE'
[Unit]
RequiresMountsFor=/srv/data /var/lib/mysql
END-OF-FILE

cat >/etc/systemd/system/rocca-boot.service <<'END-OF-FILE'
# Written by rocca's user data: at every boot the instance is made what it
# should be, and the stack that waits for it is told.
[Unit]
Description=rocca: make this instance the Matomo server that it should be
Wants=network-online.target
After=network-online.target nss-lookup.target
RequiresMountsFor=/srv/data /var/lib/mysql /var/lib/matomo /var/lib/matomo-tracker

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/rocca aws boot
Environment=AWS_EC2_METADATA_V1_DISABLED=true
TimeoutStartSec=45min
# The console can be read from outside when nothing else works.
StandardOutput=journal+console
RuntimeDirectory=rocca-boot
RuntimeDirectoryMode=0700

[Install]
WantedBy=multi-user.target
END-OF-FILE
systemctl daemon-reload
systemctl enable --quiet rocca-boot.service
# It goes on by itself: cloud-init does not wait for it.
systemctl start --no-block rocca-boot.service
# When that is through, reports begin.
/usr/local/sbin/rocca aws report --install
