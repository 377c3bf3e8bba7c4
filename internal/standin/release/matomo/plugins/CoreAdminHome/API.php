<?php

namespace Piwik\Plugins\CoreAdminHome;

use Piwik\Access;
use Piwik\Config;
use Piwik\Option;

/** General settings: some are options, some are written to config.ini.php. */
class API extends \Piwik\API
{
    public function setArchiveSettings(int $enableBrowserTriggerArchiving, int $todayArchiveTimeToLive): void
    {
        $this->check();
        Option::set('enableBrowserTriggerArchiving', (string) $enableBrowserTriggerArchiving);
        Option::set('todayArchiveTimeToLive', (string) $todayArchiveTimeToLive);
    }

    public function setTrustedHosts($trustedHosts): void
    {
        $this->check();
        if (!empty($trustedHosts)) {
            Config::getInstance()->General = array_merge(Config::getInstance()->General, ['trusted_hosts' => (array) $trustedHosts]);
            Config::getInstance()->forceSave();
        }
    }

    private function check(): void
    {
        Access::getInstance()->checkSuperUser();
        if (!Config::value('General', 'enable_general_settings_admin')) {
            throw new \Exception('General settings admin is not enabled');
        }
    }
}
