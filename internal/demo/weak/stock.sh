# Matomo as most installations end up: unpacked into one directory that the web
# server's user owns, PHP inside Apache, Debian's defaults everywhere else.
# $1: directory of the release
root=/var/www/matomo

cp -r "$1" $root
mkdir -p $root/tmp $root/config
chown -R www-data:www-data $root
chmod -R u+w $root

cat >/etc/apache2/sites-available/matomo.conf <<END
<VirtualHost *:80>
    DocumentRoot $root
    ErrorLog \${APACHE_LOG_DIR}/error.log
    CustomLog \${APACHE_LOG_DIR}/access.log combined
</VirtualHost>
END
a2dissite -q 000-default
a2ensite -q matomo

echo "5 * * * * www-data /usr/bin/php $root/console core:archive >/dev/null" >/etc/cron.d/matomo-archive
systemctl restart apache2
