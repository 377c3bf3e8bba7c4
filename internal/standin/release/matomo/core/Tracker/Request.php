<?php

namespace Piwik\Tracker;

use Piwik\Auth;
use Piwik\Cache;
use Piwik\Common;
use Piwik\Config;
use Piwik\Db;
use Piwik\Exception\InvalidRequestException;
use Piwik\Exception\TooManyFailuresException;

/** The parameters of one tracking request, with the rules of who may send what. */
class Request
{
    private const NEEDS_TOKEN = ['country', 'region', 'city', 'lat', 'long'];

    private array $parameters;
    private string $token;
    private bool $tokenSentSecurely;
    private ?bool $authenticated = null;
    private int $now;

    public function __construct(array $parameters, string $token, bool $tokenSentSecurely)
    {
        $this->parameters = $parameters;
        $this->token = $token !== '' ? $token : $this->get('token_auth');
        $this->tokenSentSecurely = $tokenSentSecurely;
        $this->now = time();
    }

    public function get(string $name): string
    {
        $value = $this->parameters[$name] ?? '';
        return is_scalar($value) ? mb_scrub((string) $value, 'UTF-8') : '';
    }

    /** The attributes of the site, from a cache of five minutes. */
    public function site(): array
    {
        $id = (int) $this->get('idsite');
        if ($id <= 0) {
            throw new InvalidRequestException("Invalid idSite: '{$this->get('idsite')}'");
        }
        $site = Cache::remember((string) $id, 300, static fn() => self::loadSite($id));
        if ($site === null) {
            Cache::forget((string) $id);
            throw new InvalidRequestException("An unexpected website was found in the request: website id was set to '$id'.");
        }
        return $site;
    }

    private static function loadSite(int $id): ?array
    {
        $site = Db::fetchRow('SELECT idsite, main_url, UNIX_TIMESTAMP(ts_created) AS created FROM ' . Common::prefixTable('site') . ' WHERE idsite = ?', [$id]);
        if ($site === null) {
            return null;
        }
        $site['urls'] = Db::fetchColumn('SELECT url FROM ' . Common::prefixTable('site_url') . ' WHERE idsite = ?', [$id]);
        $site['settings'] = Db::fetchAll('SELECT setting_name, setting_value FROM ' . Common::prefixTable('site_setting') . ' WHERE idsite = ?', [$id]);
        $site['goals'] = Db::fetchColumn('SELECT idgoal FROM ' . Common::prefixTable('goal') . ' WHERE idsite = ? AND deleted = 0', [$id]);
        $site['dimensions'] = Db::fetchAll('SELECT idcustomdimension, scope FROM ' . Common::prefixTable('custom_dimensions') . ' WHERE idsite = ? AND active = 1', [$id]);
        $site['tokens'] = Db::fetchColumn('SELECT t.password FROM ' . Common::prefixTable('user_token_auth') . ' t JOIN ' . Common::prefixTable('access') . " a ON a.login = t.login
            WHERE a.idsite = ? AND a.access IN ('write', 'admin')", [$id]);
        return $site;
    }

    /** Whether the token may write to the site. A user with write access is enough. */
    public function isAuthenticated(): bool
    {
        if ($this->authenticated === null) {
            $this->authenticated = !Config::value('Tracker', 'tracking_requests_require_authentication') || $this->authenticate();
        }
        return $this->authenticated;
    }

    private function authenticate(): bool
    {
        if ($this->token === '') {
            return false;
        }
        if (in_array(Auth::hashToken($this->token), $this->site()['tokens'], true)) {
            return true;
        }
        try {
            $user = Auth::byToken($this->token, $this->tokenSentSecurely);
        } catch (TooManyFailuresException $failures) {
            return false;
        }
        if ($user !== null && $user['superuser_access']) {
            return true;
        }
        Auth::recordFailure();
        Db::query('INSERT IGNORE INTO ' . Common::prefixTable('tracking_failure') . ' (idsite, idfailure, date_first_occurred, request_url) VALUES (?, 2, NOW(), ?)', [$this->site()['idsite'], '']);
        return false;
    }

    /** Refuses what an anonymous sender must not set. */
    public function check(): void
    {
        foreach (self::NEEDS_TOKEN as $name) {
            if ($this->get($name) !== '' && !$this->isAuthenticated()) {
                throw new InvalidRequestException("Tracker API '$name' was used, requires valid token_auth");
            }
        }
        if ($this->get('cid') !== '' && !preg_match('/^[0-9a-f]{16}$/i', $this->get('cid'))) {
            throw new InvalidRequestException('Visitor ID (cid) must be 16 hexadecimal characters long');
        }
    }

    /** @return string the visitor's address, 4 or 16 bytes; nonsense becomes 0.0.0.0 */
    public function address(): string
    {
        $cip = $this->get('cip');
        if ($cip !== '' && !$this->isAuthenticated()) {
            throw new InvalidRequestException("Tracker API 'cip' was used, requires valid token_auth");
        }
        return @inet_pton($cip !== '' ? $cip : Common::clientAddress()) ?: "\0\0\0\0";
    }

    /** When it happened, in seconds since 1970. A time in the future or ten years back is ignored. */
    public function time(): int
    {
        $cdt = $this->get('cdt');
        $time = is_numeric($cdt) ? (int) $cdt : ($cdt === '' ? false : strtotime($cdt, $this->now));
        if ($time === false || $time > $this->now || $time < $this->now - 10 * 365 * 86400) {
            return $this->now;
        }
        $free = (int) Config::value('Tracker', 'tracking_requests_require_authentication_when_custom_timestamp_newer_than');
        if ($this->now - $time >= $free && !$this->isAuthenticated()) {
            throw new InvalidRequestException('Custom timestamp is ' . ($this->now - $time) . ' seconds old, requires &token_auth...');
        }
        return $time;
    }

    public function userAgent(): string
    {
        return $this->get('ua') ?: ($_SERVER['HTTP_USER_AGENT'] ?? '');
    }

    public function language(): string
    {
        $accept = $this->get('lang') ?: ($_SERVER['HTTP_ACCEPT_LANGUAGE'] ?? '');
        return substr(strtolower(preg_replace('/[;,].*/', '', $accept)), 0, 20);
    }
}
