<?php

namespace Piwik\Db;

use Piwik\Common;

/** The tables of the core. Plugins add theirs, and columns to the log tables. */
class Schema
{
    public const OPTIONS = 'ENGINE=InnoDB DEFAULT CHARSET=utf8mb4';

    private const TABLES = [
        'user' => 'login VARCHAR(100) NOT NULL PRIMARY KEY, password VARCHAR(255) NOT NULL, email VARCHAR(100) NOT NULL, twofactor_secret VARCHAR(40) NOT NULL DEFAULT "",
            superuser_access TINYINT UNSIGNED NOT NULL DEFAULT 0, date_registered TIMESTAMP NULL, ts_password_modified TIMESTAMP NULL, idchange_last_viewed INT UNSIGNED NULL,
            invited_by VARCHAR(100) NULL, invite_token VARCHAR(191) NULL, invite_link_token VARCHAR(191) NULL, invite_expired_at TIMESTAMP NULL, invite_accept_at TIMESTAMP NULL, UNIQUE KEY email (email)',
        'user_token_auth' => 'idusertokenauth BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, login VARCHAR(100) NOT NULL, description VARCHAR(100) NOT NULL, password VARCHAR(191) NOT NULL,
            hash_algo VARCHAR(30) NOT NULL, system_token TINYINT NOT NULL DEFAULT 0, last_used DATETIME NULL, date_created DATETIME NOT NULL, date_expired DATETIME NULL, secure_only TINYINT NOT NULL DEFAULT 0, UNIQUE KEY password (password)',
        'twofactor_recovery_code' => 'idrecoverycode BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, login VARCHAR(100) NOT NULL, recovery_code VARCHAR(40) NOT NULL',
        'access' => 'idaccess INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, login VARCHAR(100) NOT NULL, idsite INT UNSIGNED NOT NULL, access VARCHAR(50) NULL, KEY login_site (login, idsite)',
        'site' => 'idsite INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(90) NOT NULL, main_url VARCHAR(255) NOT NULL, ts_created TIMESTAMP NULL, ecommerce TINYINT DEFAULT 0, sitesearch TINYINT DEFAULT 1, sitesearch_keyword_parameters TEXT NULL, sitesearch_category_parameters TEXT NULL,
            timezone VARCHAR(50) NOT NULL, currency CHAR(3) NOT NULL, exclude_unknown_urls TINYINT DEFAULT 0, excluded_ips TEXT NULL, excluded_parameters TEXT NULL, excluded_user_agents TEXT NULL, excluded_referrers TEXT NULL,
            `group` VARCHAR(250) NOT NULL DEFAULT "", type VARCHAR(255) NOT NULL DEFAULT "website", keep_url_fragment TINYINT NOT NULL DEFAULT 0, creator_login VARCHAR(100) NULL',
        'plugin_setting' => 'idplugin_setting BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, plugin_name VARCHAR(60) NOT NULL, setting_name VARCHAR(255) NOT NULL, setting_value LONGTEXT NOT NULL, json_encoded TINYINT NOT NULL DEFAULT 0, user_login VARCHAR(100) NOT NULL DEFAULT ""',
        'site_setting' => 'idsite_setting BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, idsite INT UNSIGNED NOT NULL, plugin_name VARCHAR(60) NOT NULL, setting_name VARCHAR(255) NOT NULL, setting_value LONGTEXT NOT NULL, json_encoded TINYINT NOT NULL DEFAULT 0',
        'site_url' => 'idsite INT UNSIGNED NOT NULL, url VARCHAR(190) NOT NULL, PRIMARY KEY (idsite, url)',
        'goal' => 'idsite INT NOT NULL, idgoal INT NOT NULL, name VARCHAR(50) NOT NULL, deleted TINYINT NOT NULL DEFAULT 0, PRIMARY KEY (idsite, idgoal)',
        'logger_message' => 'idlogger_message INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, tag VARCHAR(50) NULL, timestamp TIMESTAMP NULL, level VARCHAR(16) NULL, message TEXT NULL',
        'log_action' => 'idaction INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(4096) NULL, hash INT UNSIGNED NOT NULL, type TINYINT UNSIGNED NULL, url_prefix TINYINT NULL, KEY type_hash (type, hash)',
        'log_visit' => 'idvisit BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, idsite INT UNSIGNED NOT NULL, idvisitor BINARY(8) NOT NULL, visit_last_action_time DATETIME NOT NULL, config_id BINARY(8) NOT NULL, location_ip VARBINARY(16) NOT NULL,
            KEY site_time (idsite, visit_last_action_time), KEY site_config (idsite, config_id, visit_last_action_time), KEY site_visitor (idsite, idvisitor, visit_last_action_time)',
        'log_conversion_item' => 'idsite INT UNSIGNED NOT NULL, idvisitor BINARY(8) NOT NULL, server_time DATETIME NOT NULL, idvisit BIGINT UNSIGNED NOT NULL, idorder VARCHAR(100) NOT NULL, idaction_sku INT UNSIGNED NOT NULL,
            idaction_name INT UNSIGNED NOT NULL DEFAULT 0, price DOUBLE NOT NULL, quantity INT UNSIGNED NOT NULL, deleted TINYINT NOT NULL DEFAULT 0, PRIMARY KEY (idvisit, idorder, idaction_sku)',
        'log_conversion' => 'idvisit BIGINT UNSIGNED NOT NULL, idsite INT UNSIGNED NOT NULL, idvisitor BINARY(8) NOT NULL, server_time DATETIME NOT NULL, idaction_url INT UNSIGNED NULL, idgoal INT NOT NULL, buster INT UNSIGNED NOT NULL,
            idorder VARCHAR(100) NULL, items SMALLINT UNSIGNED NULL, url VARCHAR(4096) NOT NULL DEFAULT "", revenue DOUBLE NULL, PRIMARY KEY (idvisit, idgoal, buster), UNIQUE KEY site_order (idsite, idorder)',
        'log_link_visit_action' => 'idlink_va BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, idsite INT UNSIGNED NOT NULL, idvisitor BINARY(8) NOT NULL, idvisit BIGINT UNSIGNED NOT NULL, custom_float DOUBLE NULL, KEY visit (idvisit)',
        'log_profiling' => 'idprofiling BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, query TEXT NOT NULL, count INT UNSIGNED NULL, sum_time_ms FLOAT NULL',
        'option' => 'option_name VARCHAR(191) NOT NULL PRIMARY KEY, option_value LONGTEXT NOT NULL, autoload TINYINT NOT NULL DEFAULT 1',
        'session' => 'id VARCHAR(191) NOT NULL PRIMARY KEY, modified INT NULL, lifetime INT NULL, data MEDIUMTEXT NULL',
        'archive_numeric' => 'idarchive INT UNSIGNED NOT NULL, name VARCHAR(190) NOT NULL, idsite INT UNSIGNED NULL, date1 DATE NULL, date2 DATE NULL, period TINYINT UNSIGNED NULL, ts_archived DATETIME NULL, value DOUBLE NULL, PRIMARY KEY (idarchive, name), KEY look (idsite, date1, date2, period)',
        'archive_blob' => 'idarchive INT UNSIGNED NOT NULL, name VARCHAR(190) NOT NULL, idsite INT UNSIGNED NULL, date1 DATE NULL, date2 DATE NULL, period TINYINT UNSIGNED NULL, ts_archived DATETIME NULL, value MEDIUMBLOB NULL, PRIMARY KEY (idarchive, name)',
        'archive_invalidations' => 'idinvalidation BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, idsite INT UNSIGNED NOT NULL, date1 DATE NOT NULL, date2 DATE NOT NULL, period TINYINT UNSIGNED NOT NULL, name VARCHAR(255) NOT NULL, ts_invalidated DATETIME NULL, processing_host VARCHAR(100) NULL',
        'sequence' => 'name VARCHAR(120) NOT NULL PRIMARY KEY, value BIGINT UNSIGNED NOT NULL',
        'brute_force_log' => 'id_brute_force_log BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, ip_address VARCHAR(60) NULL, attempted_at DATETIME NOT NULL, login VARCHAR(100) NULL, KEY ip_address (ip_address)',
        'tracking_failure' => 'idsite BIGINT UNSIGNED NOT NULL, idfailure SMALLINT UNSIGNED NOT NULL, date_first_occurred DATETIME NOT NULL, request_url MEDIUMTEXT NOT NULL, PRIMARY KEY (idsite, idfailure)',
        'locks' => '`key` VARCHAR(70) NOT NULL PRIMARY KEY, value VARCHAR(255) NULL, expiry_time BIGINT UNSIGNED NULL',
        'changes' => 'idchange INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, created_time DATETIME NOT NULL, plugin_name VARCHAR(60) NOT NULL, version VARCHAR(20) NOT NULL, title VARCHAR(255) NOT NULL',
    ];

    /** @return array<string, string> name without the prefix => CREATE TABLE statement that does nothing when the table is there */
    public static function statements(): array
    {
        $statements = [];
        foreach (self::TABLES as $table => $columns) {
            $statements[$table] = 'CREATE TABLE IF NOT EXISTS `' . Common::prefixTable($table) . '` (' . str_replace('"', "'", $columns) . ') ' . self::OPTIONS;
        }
        return $statements;
    }

    /** Creates the archive table of a month; needs only the right CREATE. */
    public static function createArchiveTable(string $kind, string $month): string
    {
        $table = Common::prefixTable("archive_{$kind}_$month");
        \Piwik\Db::exec(str_replace(Common::prefixTable("archive_$kind"), $table, self::statements()["archive_$kind"]));
        return $table;
    }
}
