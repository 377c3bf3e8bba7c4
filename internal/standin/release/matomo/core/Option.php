<?php

namespace Piwik;

/** Settings and state that live in the database, by name. */
class Option
{
    /** @return string|false */
    public static function get(string $name)
    {
        return Db::fetchOne('SELECT option_value FROM ' . Common::prefixTable('option') . ' WHERE option_name = ?', [$name]);
    }

    public static function set(string $name, string $value): void
    {
        Db::query('INSERT INTO ' . Common::prefixTable('option') . ' (option_name, option_value, autoload) VALUES (?, ?, 0)
            ON DUPLICATE KEY UPDATE option_value = VALUES(option_value)', [$name, $value]);
    }

    public static function deleteLike(string $pattern): void
    {
        Db::query('DELETE FROM ' . Common::prefixTable('option') . ' WHERE option_name LIKE ?', [$pattern]);
    }
}
