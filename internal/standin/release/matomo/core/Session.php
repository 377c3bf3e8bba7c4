<?php

namespace Piwik;

use SessionHandlerInterface;

/** Sessions in the database, found by a cookie; their ids are stored hashed. */
class Session implements SessionHandlerInterface
{
    public static function start(): void
    {
        session_name('MATOMO_SESSID');
        session_set_cookie_params(['path' => '/', 'httponly' => true, 'samesite' => 'Lax', 'secure' => Common::isHttps()]);
        ini_set('session.use_strict_mode', '1');
        session_cache_limiter('');
        session_set_save_handler(new self(), true);
        session_start();
    }

    /** Takes over the user that signed in, unless the password has changed since or the session was idle too long. */
    public static function authenticate(): void
    {
        $user = isset($_SESSION['login']) ? (new Plugins\UsersManager\Model())->getUser($_SESSION['login']) : null;
        if ($user !== null && $user['ts_password_modified'] === $_SESSION['password_since']) {
            Access::getInstance()->become($user);
        }
    }

    public static function signIn(array $user): void
    {
        session_regenerate_id(true);
        $_SESSION['login'] = $user['login'];
        $_SESSION['password_since'] = $user['ts_password_modified'];
    }

    public static function signOut(): void
    {
        $_SESSION = [];
        session_regenerate_id(true);
    }

    /** A value that a form must send back. */
    public static function nonce(): string
    {
        return $_SESSION['nonce'] ??= bin2hex(random_bytes(16));
    }

    /** What calls of the API with this session must name. */
    public static function token(): string
    {
        return $_SESSION['token'] ??= bin2hex(random_bytes(16));
    }

    public static function checkNonce(?string $nonce): bool
    {
        return isset($_SESSION['nonce']) && hash_equals($_SESSION['nonce'], (string) $nonce);
    }

    public function open($path, $name): bool
    {
        return true;
    }

    public function close(): bool
    {
        return true;
    }

    #[\ReturnTypeWillChange]
    public function read($id)
    {
        return (string) Db::fetchOne('SELECT data FROM ' . Common::prefixTable('session') . ' WHERE id = ? AND modified + lifetime > ?', [self::hash($id), time()]);
    }

    public function write($id, $data): bool
    {
        $lifetime = (int) Config::value('General', 'login_session_not_remembered_idle_timeout', 3600);
        Db::query('REPLACE INTO ' . Common::prefixTable('session') . ' (id, modified, lifetime, data) VALUES (?, ?, ?, ?)', [self::hash($id), time(), $lifetime, $data]);
        return true;
    }

    public function destroy($id): bool
    {
        Db::query('DELETE FROM ' . Common::prefixTable('session') . ' WHERE id = ?', [self::hash($id)]);
        return true;
    }

    #[\ReturnTypeWillChange]
    public function gc($seconds)
    {
        return Db::query('DELETE FROM ' . Common::prefixTable('session') . ' WHERE modified + lifetime < ?', [time()])->rowCount();
    }

    private static function hash(string $id): string
    {
        return hash('sha512', $id);
    }
}
