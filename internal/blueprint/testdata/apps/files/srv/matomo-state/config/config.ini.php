; <?php exit; ?> DO NOT REMOVE THIS LINE
; file automatically generated or modified by Matomo; you can manually override the default values in global.ini.php by redefining them in this file.
[database]
username = "matomo"
dbname = "web_stats"
tables_prefix = "stats_"
adapter = "PDO\MYSQL"
type = "InnoDB"
schema = "Mariadb"
charset = "utf8mb4"
collation = "utf8mb4_general_ci"
host = "localhost"
unix_socket = "/run/mysqld/mysqld.sock"
password = ""

[General]
trusted_hosts[] = "stats.example.org"
trusted_hosts[] = "www.stats.example.org"
enable_installer = 0
enable_auto_update = 0
enable_plugin_upload = 0
enable_plugins_admin = 0
enable_general_settings_admin = 0
enable_geolocation_admin = 0
login_allow_logme = 0
enable_trusted_host_check = 1
force_ssl = 1
default_language = "en"
enable_browser_archiving_triggering = 0
enable_load_data_infile = 0
csp_enabled = 1
csp_report_only = 0
enable_framed_pages = 0
enable_framed_settings = 0
enable_framed_allow_write_admin_token_auth = 0
only_allow_secure_auth_tokens = 1
login_cookie_expire = 86400
login_session_not_remembered_idle_timeout = 1800
password_hash_algorithm = "argon2id"
enable_internet_features = 0
enable_update_communication = 0
enable_referrer_definition_syncs = 0
allowed_outgoing_protocols = "https"
disable_tracking_matomo_app_links = 1
piwik_professional_support_ads_enabled = 0
show_update_notification_to_superusers_only = 1
enable_delete_old_data_settings_admin = 0
salt = "0123456789abcdef0123456789abcdef"

[Tracker]
debug = 0
debug_on_demand = 0
record_statistics = 1
tracking_requests_require_authentication = 1
bulk_requests_use_transaction = 1
scheduled_tasks_min_interval = 0
enable_spam_filter = 1
use_third_party_id_cookie = 0
enable_fingerprinting_across_websites = 0
url_query_parameter_to_exclude_from_url = "gclid,fbclid,msclkid,twclid,wbraid,gbraid,yclid,fb_xd_fragment,fb_comment_id,phpsessid,jsessionid,sessionid,aspsessionid,doing_wp_cron,sid,pk_vid,token_auth,tokenauth,token,access_token,id_token,refresh_token,auth,apikey,api_key,secret,clientsecret,client_secret,password,pass,passwd,pwd,email,e-mail,e_mail,mail,emailaddress,email_address"

[Login]
enableBruteForceDetection = 1
maxAllowedRetries = 10
allowedRetriesTimeRange = 60
enablePasswordStrengthCheck = 1

[Deletelogs]
delete_logs_enable = 1
delete_logs_older_than = 180

[Debug]
enable_sql_profiler = 0
log_sql_queries = 0
tracker_always_new_visitor = 0

[Development]
enabled = 0

[log]
log_writers[] = "errorlog"
log_level = "WARN"

[Plugins]
Plugins[] = "CoreHome"
Plugins[] = "Login"

[PluginsInstalled]
PluginsInstalled[] = "CoreHome"
PluginsInstalled[] = "Login"
PluginsInstalled[] = "Marketplace"
PluginsInstalled[] = "Tour"

