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
  resource: Servers
secret: arn:aws:secretsmanager:eu-central-1:123456789012:secret:rocca/stats/app-AbCdEf
domain:
- stats.example.org
email: owner@example.org
roles:
- tracker
- ui
- worker
proxies:
- 10.20.0.0/20
- 10.20.16.0/20
admin_networks:
- 192.0.2.0/24
ssh_networks:
- 10.20.0.0/16
database:
  host: stats.abc123.eu-central-1.rds.amazonaws.com
  port: 3306
  name: matomo
  network: 10.20.0.0/16
  master: arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-0a1b-AbCdEf
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
fetch https://rocca-stats.s3.eu-central-1.amazonaws.com/rds.pem b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2 /etc/rocca/database-ca.pem 0644

# The SSM agent: sessions without an open port and without a key.
fetch https://s3.eu-central-1.amazonaws.com/amazon-ssm-eu-central-1/3.3.1/debian_arm64/amazon-ssm-agent.deb c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3 /var/cache/amazon-ssm-agent.deb 0644
dpkg --install /var/cache/amazon-ssm-agent.deb

cat >/etc/systemd/system/rocca-boot.service <<'END-OF-FILE'
# Written by rocca's user data: at every boot the instance is made what it
# should be, and the stack that waits for it is told.
[Unit]
Description=rocca: make this instance the Matomo server that it should be
Wants=network-online.target
After=network-online.target nss-lookup.target

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
