<?php

namespace Piwik;

use Piwik\Exception\NoAccessException;

/** Who makes this request and what that user may do. */
class Access
{
    private const ROLES = ['view' => 1, 'write' => 2, 'admin' => 3];

    private static ?Access $instance = null;

    private string $login = 'anonymous';
    private bool $superUser = false;
    /** @var array<int, int> idsite => role */
    private array $sites = [];

    public static function getInstance(): Access
    {
        return self::$instance ??= new self();
    }

    public function setSuperUserAccess(bool $superUser): void
    {
        $this->superUser = $superUser;
        $this->login = 'super user was set';
    }

    /** @param array $user a row of the user table */
    public function become(array $user): void
    {
        $this->login = $user['login'];
        $this->superUser = (bool) $user['superuser_access'];
        $this->sites = [];
        foreach (Db::fetchAll('SELECT idsite, access FROM ' . Common::prefixTable('access') . ' WHERE login = ?', [$user['login']]) as $row) {
            $this->sites[(int) $row['idsite']] = max($this->sites[(int) $row['idsite']] ?? 0, self::ROLES[$row['access']] ?? 0);
        }
    }

    public function login(): string
    {
        return $this->login;
    }

    public function isSuperUser(): bool
    {
        return $this->superUser;
    }

    public function may(string $role, int $site): bool
    {
        return $this->superUser || ($this->sites[$site] ?? 0) >= self::ROLES[$role];
    }

    /** @return int[] the sites that this user may see, among those there are */
    public function sites(string $role = 'view'): array
    {
        $all = array_map('intval', Db::fetchColumn('SELECT idsite FROM ' . Common::prefixTable('site') . ' ORDER BY idsite'));
        return array_values(array_filter($all, fn(int $site) => $this->may($role, $site)));
    }

    public function checkSuperUser(): void
    {
        if (!$this->superUser) {
            throw new NoAccessException("You can't access this resource as it requires a 'superuser' access.");
        }
    }

    public function checkSite(string $role, int $site): void
    {
        if (!in_array($site, $this->sites($role), true)) {
            throw new NoAccessException("You can't access this resource as it requires '$role' access for the website id = $site.");
        }
    }

    public function checkAnySite(string $role): void
    {
        if (!$this->superUser && $this->sites($role) === []) {
            throw new NoAccessException("You can't access this resource as it requires $role access for at least one website.");
        }
    }
}
