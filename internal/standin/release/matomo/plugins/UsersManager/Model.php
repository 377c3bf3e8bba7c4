<?php

namespace Piwik\Plugins\UsersManager;

use Piwik\Common;
use Piwik\Db;

/** The tables of users, without any check of rights. */
class Model
{
    public function getUser(string $login): ?array
    {
        return Db::fetchRow('SELECT * FROM ' . Common::prefixTable('user') . ' WHERE login = ?', [$login]);
    }

    public function getUsersHavingSuperUserAccess(): array
    {
        return Db::fetchAll('SELECT login, email FROM ' . Common::prefixTable('user') . ' WHERE superuser_access = 1 ORDER BY date_registered');
    }

    public function setSuperUserAccess(string $login, bool $has): void
    {
        Db::query('UPDATE ' . Common::prefixTable('user') . ' SET superuser_access = ? WHERE login = ?', [(int) $has, $login]);
    }

    public function getAllHashedTokensForLogins(array $logins): array
    {
        $marks = rtrim(str_repeat('?, ', count($logins)), ', ');
        return Db::fetchColumn('SELECT password FROM ' . Common::prefixTable('user_token_auth') . " WHERE login IN ($marks)", $logins);
    }
}
