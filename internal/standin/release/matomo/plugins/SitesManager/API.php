<?php

namespace Piwik\Plugins\SitesManager;

use Piwik\Access;
use Piwik\Common;
use Piwik\Db;
use Piwik\Option;

class API extends \Piwik\API
{
    public const OPTION_DEFAULT_TIMEZONE = 'SitesManager_DefaultTimezone';
    public const OPTION_DEFAULT_CURRENCY = 'SitesManager_DefaultCurrency';

    public function getAllSitesId(): array
    {
        Access::getInstance()->checkSuperUser();
        return Access::getInstance()->sites();
    }

    public function getSitesWithAtLeastViewAccess(): array
    {
        $may = Access::getInstance();
        $all = Db::fetchAll('SELECT idsite, name, main_url, ts_created, timezone, currency FROM ' . Common::prefixTable('site') . ' ORDER BY idsite');
        return array_values(array_filter($all, static fn($site) => $may->may('view', (int) $site['idsite'])));
    }

    public function addSite(string $siteName, $urls, string $timezone = '', string $currency = ''): int
    {
        Access::getInstance()->checkSuperUser();
        $urls = array_values((array) $urls);
        if ($siteName === '' || !filter_var($urls[0] ?? '', FILTER_VALIDATE_URL)) {
            throw new \Exception('The website name is empty or the url is not valid.');
        }
        $timezone = $timezone ?: (Option::get(self::OPTION_DEFAULT_TIMEZONE) ?: 'UTC');
        self::checkTimezone($timezone);
        $id = Db::insert('site', ['name' => $siteName, 'main_url' => rtrim($urls[0], '/'), 'ts_created' => gmdate('Y-m-d H:i:s'), 'timezone' => $timezone,
            'currency' => $currency ?: (Option::get(self::OPTION_DEFAULT_CURRENCY) ?: 'USD'), 'creator_login' => Access::getInstance()->login()]);
        foreach (array_slice($urls, 1) as $url) {
            Db::insert('site_url', ['idsite' => $id, 'url' => $url]);
        }
        return $id;
    }

    public function setDefaultTimezone(string $defaultTimezone): void
    {
        Access::getInstance()->checkSuperUser();
        self::checkTimezone($defaultTimezone);
        Option::set(self::OPTION_DEFAULT_TIMEZONE, $defaultTimezone);
    }

    public function setDefaultCurrency(string $defaultCurrency): void
    {
        Access::getInstance()->checkSuperUser();
        if (!preg_match('/^[A-Z]{3}$/', $defaultCurrency)) {
            throw new \Exception("The currency '$defaultCurrency' is not valid.");
        }
        Option::set(self::OPTION_DEFAULT_CURRENCY, $defaultCurrency);
    }

    private static function checkTimezone(string $timezone): void
    {
        if (!in_array($timezone, timezone_identifiers_list(), true)) {
            throw new \Exception("The timezone '$timezone' is not valid. Please enter a valid timezone.");
        }
    }
}
