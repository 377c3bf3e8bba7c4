# The recipe of the hardening slides to the letter: a pool and a Unix user for
# each application, on TCP ports; code owned by root in a directory owned by
# the application's user; open_basedir.
# $1: directory of the release, $2: its version
php=$(php -r 'echo PHP_MAJOR_VERSION, ".", PHP_MINOR_VERSION;')

pool() { # name port
    useradd --system --user-group --home-dir "/var/www/$1" --no-create-home --shell /usr/sbin/nologin "apache-$1"
    mkdir -p "/var/www/$1/tmp"
    chown "apache-$1:apache-$1" "/var/www/$1/tmp"
    chmod 770 "/var/www/$1/tmp"
    cat >"/etc/php/$php/fpm/pool.d/$1.conf" <<END
[$1]
listen = 127.0.0.1:$2
user = apache-$1
group = apache-$1
pm = dynamic
pm.max_children = 5
pm.start_servers = 2
pm.min_spare_servers = 1
pm.max_spare_servers = 3
; use a dedicated tmp directory
php_admin_value[upload_tmp_dir] = /var/www/$1/tmp
php_admin_value[sys_temp_dir] = /var/www/$1/tmp
; harden the installation
php_admin_value[open_basedir] = /var/www/$1
END
    cat >"/etc/apache2/sites-available/$1.conf" <<END
<VirtualHost *:80>
    ServerName $1.localhost
    DocumentRoot /var/www/$1/www
    DirectoryIndex index.php index.html
    <FilesMatch "\.php$">
        SetHandler "proxy:fcgi://127.0.0.1:$2"
    </FilesMatch>
    ErrorLog \${APACHE_LOG_DIR}/$1-error.log
    CustomLog \${APACHE_LOG_DIR}/$1-access.log combined
</VirtualHost>
END
}

pool matomo 9000
pool app2 9001
rm "/etc/php/$php/fpm/pool.d/www.conf"

code=/var/www/matomo/www-matomo.$2
cp -r "$1" "$code"
ln -s "www-matomo.$2" /var/www/matomo/www
chown -R root:root "$code"
find "$code" -type d -exec chmod 755 {} +
find "$code" -type f ! -name console -exec chmod 644 {} +
mkdir -p "$code/tmp" "$code/config"
chown apache-matomo:apache-matomo "$code" "$code/config" "$code/matomo.js" "$code/piwik.js"
chown -R apache-matomo:apache-matomo "$code/tmp"
chmod 775 "$code"
chmod 755 "$code/config"
chmod 770 "$code/tmp"

mkdir -p /var/www/app2/www-app2.1.0
ln -s www-app2.1.0 /var/www/app2/www
echo '<?php echo "app2 runs as ", posix_getpwuid(posix_geteuid())["name"], "\n";' >/var/www/app2/www/index.php
chown apache-app2:apache-app2 /var/www/app2/www-app2.1.0
chmod 775 /var/www/app2/www-app2.1.0

a2enmod -q proxy_fcgi
a2dissite -q 000-default
# The first site that Apache reads answers to unknown names.
mv /etc/apache2/sites-available/matomo.conf /etc/apache2/sites-available/000-matomo.conf
a2ensite -q 000-matomo app2
systemctl restart "php$php-fpm" apache2
