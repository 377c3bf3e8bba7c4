<?php

namespace Piwik;

use Piwik\Db\Schema;

/** Creates the tables and the rows that must be there from the start. */
class DbHelper
{
    /** @return string[] names with the prefix */
    public static function getTablesInstalled(bool $forceReload = true): array
    {
        $like = str_replace('_', '\\_', Common::prefixTable('')) . '%';
        return Db::fetchColumn('SHOW TABLES LIKE ?', [$like]);
    }

    /** @return array<string, string> name without the prefix => CREATE TABLE statement */
    public static function getTablesCreateSql(): array
    {
        return Schema::statements();
    }

    public static function createTables(): void
    {
        foreach (Schema::statements() as $table => $sql) {
            if ($table !== 'archive_numeric' && $table !== 'archive_blob') {
                Db::exec($sql);
            }
        }
    }

    /** @param string $definition columns and keys */
    public static function createTable(string $table, string $definition): void
    {
        Db::exec('CREATE TABLE IF NOT EXISTS `' . Common::prefixTable($table) . "` ($definition) " . Schema::OPTIONS);
    }

    public static function createAnonymousUser(): void
    {
        Db::query('INSERT IGNORE INTO ' . Common::prefixTable('user') . " (login, password, email, superuser_access, date_registered, ts_password_modified)
            VALUES ('anonymous', '', 'anonymous@example.org', 0, NOW(), NOW())");
        Db::insert('user_token_auth', ['login' => 'anonymous', 'description' => 'anonymous default token',
            'password' => Auth::hashToken('anonymous'), 'hash_algo' => 'sha512', 'date_created' => gmdate('Y-m-d H:i:s')]);
    }

    public static function recordInstallVersion(): void
    {
        if (!self::getInstallVersion()) {
            Option::set('install_version', Version::VERSION);
        }
    }

    public static function getInstallVersion(): string
    {
        return (string) Option::get('install_version');
    }
}
