; <?php exit; ?> DO NOT REMOVE THIS LINE
; The defaults of the stand-in release. config.ini.php overrides them.

[database]
host = "localhost"
username = ""
password = ""
dbname = ""
tables_prefix = ""
port = 3306
adapter = "PDO\MYSQL"
schema = "Mysql"
charset = "utf8mb4"
enable_ssl = 0

[General]
enable_installer = 1
enable_auto_update = 1
enable_general_settings_admin = 1
enable_plugin_upload = 0
enable_plugins_admin = 1
enable_internet_features = 1
enable_browser_archiving_triggering = 1
enable_trusted_host_check = 1
only_allow_secure_auth_tokens = 0
login_allow_logme = 0
maintenance_mode = 0
force_ssl = 0
assume_secure_protocol = 0
login_session_not_remembered_idle_timeout = 3600
multi_server_environment = 0
emails_enabled = 1

[Tracker]
record_statistics = 1
bulk_requests_use_transaction = 1
tracking_requests_require_authentication = 1
tracking_requests_require_authentication_when_custom_timestamp_newer_than = 86400
url_query_parameter_to_exclude_from_url = "gclid,fbclid,msclkid,phpsessid,jsessionid,sessionid,aspsessionid,sid"

[Plugins]
Plugins[] = "Actions"
Plugins[] = "CustomDimensions"
Plugins[] = "Dashboard"
Plugins[] = "Diagnostics"
Plugins[] = "ImageGraph"
Plugins[] = "Live"
Plugins[] = "Login"
Plugins[] = "Marketplace"
Plugins[] = "PrivacyManager"
Plugins[] = "ScheduledReports"
Plugins[] = "SegmentEditor"
Plugins[] = "VisitsSummary"

[PluginsInstalled]
PluginsInstalled[] = "Diagnostics"
PluginsInstalled[] = "Login"
