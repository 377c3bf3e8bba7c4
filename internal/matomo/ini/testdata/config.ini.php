; <?php exit; ?> DO NOT REMOVE THIS LINE
; file automatically generated or modified by Matomo; you can manually override the default values in global.ini.php by redefining them in this file.
[database]
host = "localhost"
unix_socket = "/run/mysqld/mysqld.sock"
username = "matomo"
password = "a&quot;b&amp;c&#36;d&lt;e&gt;f'g\h=i;j"
dbname = "matomo"
tables_prefix = "matomo_"
charset = "utf8mb4"

[General]
enable_installer = 0
salt = "0123456789abcdef0123456789abcdef"
login_message = "Gr&uuml;&szlig;e &hearts; 日本 &eacute;"
version = "5.3.0"
ratio = "1.5"
padded = "007"
negative = -5
big = "9223372036854775808"
empty = ""
trusted_hosts[] = "stats.example.org"
trusted_hosts[] = "127.0.0.1:8080"
currencies[BTC] = "Bitcoin"

[Plugins]
Plugins[] = "CorePluginsAdmin"
Plugins[] = "Login"

