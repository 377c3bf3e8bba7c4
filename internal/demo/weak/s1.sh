# What the install script beside the AWS guide leaves behind, in Debian's names
# for the same things: apache -> www-data, httpd -> apache2.
# $1: directory of the release
root=/var/www/html
php=$(php -r 'echo PHP_MAJOR_VERSION, ".", PHP_MINOR_VERSION;')

cat >/etc/php/"$php"/fpm/conf.d/90-matomo.ini <<END
memory_limit = 256M
upload_max_filesize = 64M
post_max_size = 64M
max_execution_time = 300
date.timezone = UTC
END

rm -rf $root
cp -r "$1" $root
chown -R www-data:www-data $root
chmod -R 755 $root
mkdir -p $root/tmp $root/config
chmod -R 777 $root/tmp $root/config

cat >/etc/apache2/sites-available/matomo.conf <<END
<VirtualHost *:80>
    DocumentRoot $root
    ErrorLog /var/log/apache2/matomo_error.log
    CustomLog /var/log/apache2/matomo_access.log combined
    <Directory $root>
        AllowOverride All
        Require all granted
    </Directory>
    <Location "/config">
        Require all denied
    </Location>
    <Location "/tmp">
        Require all denied
    </Location>
    <Files "*.log">
        Require all denied
    </Files>
    <Files "config.ini.php">
        Require all denied
    </Files>
</VirtualHost>
END
a2enmod -q proxy_fcgi setenvif
a2enconf -q "php$php-fpm"
a2dissite -q 000-default
a2ensite -q matomo

cat >/etc/logrotate.d/matomo <<END
/var/log/apache2/matomo_*.log {
    daily
    missingok
    rotate 52
    compress
    notifempty
    create 644 www-data www-data
}
END
# Its quoted here-document left the variables as they are.
cat >$root/INSTALLATION_STATUS <<'END'
Matomo installation completed at: $(date)
Database Host: $DB_HOST
Database Name: $DB_NAME
END

systemctl restart "php$php-fpm" apache2
