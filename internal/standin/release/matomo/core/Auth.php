<?php

namespace Piwik;

use Piwik\Exception\TooManyFailuresException;

/** Turns a token or a login and password into a user, and slows down guessing. */
class Auth
{
    private const RETRIES = 20;
    private const MINUTES = 60;

    /** The row of the user whose token this is, or null: then it is up to the caller to record a failure. */
    public static function byToken(string $token, bool $sentSecurely): ?array
    {
        self::checkAddressMayTry();
        $user = null;
        if ($sentSecurely || !Config::value('General', 'only_allow_secure_auth_tokens')) {
            $user = Db::fetchRow('SELECT u.*, t.idusertokenauth FROM ' . Common::prefixTable('user_token_auth') . ' t
                JOIN ' . Common::prefixTable('user') . ' u ON u.login = t.login
                WHERE t.password = ? AND (t.date_expired IS NULL OR t.date_expired > NOW())' . ($sentSecurely ? '' : ' AND t.secure_only = 0'), [self::hashToken($token)]);
        }
        if ($user === null) {
            return null;
        }
        Db::query('UPDATE ' . Common::prefixTable('user_token_auth') . ' SET last_used = NOW() WHERE idusertokenauth = ?', [$user['idusertokenauth']]);
        return $user;
    }

    /** The row of the user whose login and password these are, or null. */
    public static function byPassword(string $login, string $password): ?array
    {
        return self::byPasswordHash($login, md5($password));
    }

    /** As byPassword, with the MD5 of the password. */
    public static function byPasswordHash(string $login, string $hash): ?array
    {
        self::checkAddressMayTry();
        $user = Db::fetchRow('SELECT * FROM ' . Common::prefixTable('user') . ' WHERE login = ? OR email = ?', [$login, $login]);
        if ($user !== null && password_verify($hash, $user['password'])) {
            return $user;
        }
        self::recordFailure($login);
        return null;
    }

    public static function hashToken(string $token): string
    {
        return hash('sha512', $token . Config::value('General', 'salt'));
    }

    public static function hashPassword(string $password): string
    {
        return password_hash(md5($password), PASSWORD_BCRYPT);
    }

    /** @throws TooManyFailuresException when this address has guessed too often */
    public static function checkAddressMayTry(): void
    {
        $failures = Db::fetchOne('SELECT COUNT(*) FROM ' . Common::prefixTable('brute_force_log') . '
            WHERE ip_address = ? AND attempted_at > NOW() - INTERVAL ' . self::MINUTES . ' MINUTE', [Common::clientAddress()]);
        if ($failures > self::RETRIES) {
            throw new TooManyFailuresException('You are currently not allowed to log in because you had too many failed logins, try again later.');
        }
    }

    public static function recordFailure(?string $login = null): void
    {
        Db::insert('brute_force_log', ['ip_address' => Common::clientAddress(), 'attempted_at' => gmdate('Y-m-d H:i:s'), 'login' => $login]);
    }
}
