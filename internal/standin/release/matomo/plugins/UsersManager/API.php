<?php

namespace Piwik\Plugins\UsersManager;

use Piwik\Access;
use Piwik\Auth;
use Piwik\Common;
use Piwik\Db;

class API extends \Piwik\API
{
    /** @var bool whether updateUser asks for the password of who calls it; true again after each call */
    public static $UPDATE_USER_REQUIRE_PASSWORD_CONFIRMATION = true;

    public function getUsers(): array
    {
        Access::getInstance()->checkAnySite('admin');
        return Db::fetchAll('SELECT login, email, superuser_access, date_registered FROM ' . Common::prefixTable('user') . ' ORDER BY login');
    }

    public function userExists(string $userLogin): bool
    {
        Access::getInstance()->checkAnySite('view');
        return (new Model())->getUser($userLogin) !== null;
    }

    public function addUser(string $userLogin, string $password, string $email): void
    {
        Access::getInstance()->checkSuperUser();
        $password = self::checkedPassword($password);
        if ((new Model())->getUser($userLogin) !== null) {
            throw new \Exception("Username: Username '$userLogin' already exists.");
        }
        if (!preg_match('/^[A-Za-z0-9_.@+-]{2,100}$/', $userLogin) || !filter_var($email, FILTER_VALIDATE_EMAIL)) {
            throw new \Exception('The username or the email is not valid.');
        }
        $now = gmdate('Y-m-d H:i:s');
        Db::insert('user', ['login' => $userLogin, 'password' => Auth::hashPassword($password), 'email' => $email,
            'superuser_access' => 0, 'date_registered' => $now, 'ts_password_modified' => $now]);
    }

    public function updateUser(string $userLogin, string $password, string $passwordConfirmation = ''): void
    {
        $confirm = self::$UPDATE_USER_REQUIRE_PASSWORD_CONFIRMATION;
        self::$UPDATE_USER_REQUIRE_PASSWORD_CONFIRMATION = true;
        if (Access::getInstance()->login() !== $userLogin) {
            Access::getInstance()->checkSuperUser();
        }
        if ($confirm && Auth::byPassword(Access::getInstance()->login(), $passwordConfirmation) === null) {
            throw new \Exception('The password you entered is not correct.');
        }
        Db::query('UPDATE ' . Common::prefixTable('user') . ' SET password = ?, ts_password_modified = NOW() WHERE login = ?', [Auth::hashPassword(self::checkedPassword($password)), $userLogin]);
    }

    public function setUserAccess(string $userLogin, string $access, string $idSites): void
    {
        if (!in_array($access, ['noaccess', 'view', 'write', 'admin'], true)) {
            throw new \Exception("The role $access does not exist.");
        }
        foreach (array_map('intval', explode(',', $idSites)) as $site) {
            Access::getInstance()->checkSite('admin', $site);
            Db::query('DELETE FROM ' . Common::prefixTable('access') . ' WHERE login = ? AND idsite = ?', [$userLogin, $site]);
            if ($access !== 'noaccess') {
                Db::insert('access', ['login' => $userLogin, 'idsite' => $site, 'access' => $access]);
            }
        }
    }

    public function createAppSpecificTokenAuth(string $userLogin, string $passwordConfirmation, string $description, int $secureOnly = 0): string
    {
        $user = Auth::byPassword($userLogin, $passwordConfirmation);
        if ($user === null) {
            throw new \Exception('The current password you entered is not correct.');
        }
        $token = bin2hex(random_bytes(16));
        Db::insert('user_token_auth', ['login' => $user['login'], 'description' => $description, 'password' => Auth::hashToken($token),
            'hash_algo' => 'sha512', 'date_created' => gmdate('Y-m-d H:i:s'), 'secure_only' => $secureOnly]);
        return $token;
    }

    /** Forms hand over texts with HTML entities. */
    private static function checkedPassword(string $password): string
    {
        $password = htmlspecialchars_decode($password, ENT_QUOTES);
        if (mb_strlen($password) < 6 || mb_strlen($password) > 200) {
            throw new \Exception('The password must have 6 to 200 characters.');
        }
        return $password;
    }
}
