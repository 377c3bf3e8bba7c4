; <?php exit; ?> DO NOT REMOVE THIS LINE
; Written by rocca. It holds where config.ini.php says nothing, or is missing.
[General]
enable_installer = 0
enable_auto_update = 0
enable_plugin_upload = 0
enable_plugins_admin = 0
enable_general_settings_admin = 0
enable_geolocation_admin = 0
login_allow_logme = 0
