<?php

namespace Piwik\Plugins\CoreUpdater;

use Piwik\Access;
use Piwik\Common;
use Piwik\Updater;
use Piwik\Version;

class Controller
{
    /** While an update is pending and updates by the web are on, anybody may see and start it, as in the original. */
    public function index(): string
    {
        self::checkEnabled();
        if ((new Updater())->getComponentUpdates() === null) {
            header('Location: index.php?module=CoreHome', true, 302);
            return '';
        }
        return $this->runUpdaterAndExit();
    }

    public function runUpdaterAndExit(): string
    {
        self::checkEnabled();
        $components = (new Updater())->getComponentUpdates();
        if ($components === null) {
            throw new \Exception('Everything is already up to date.');
        }
        if (Common::param('updateCorePlugins') !== '1') {
            return self::page('The database has to be updated. <a href="index.php?module=CoreUpdater&action=runUpdaterAndExit&updateCorePlugins=1">Update</a>');
        }
        $result = (new Updater())->updateComponents($components);
        return self::page('The database has to be updated. ' . ($result['errors'] === [] ? 'Success' : 'Update error'));
    }

    public function newVersionAvailable(): string
    {
        Access::getInstance()->checkSuperUser();
        self::checkEnabled();
        throw new \Exception('Your Matomo version ' . Version::VERSION . ' is up to date.');
    }

    private static function checkEnabled(): void
    {
        if (!Updater::isAllowedByWeb()) {
            throw new \Exception('Auto updater is disabled');
        }
    }

    private static function page(string $text): string
    {
        return "<html><head><title>Matomo &rsaquo; Update</title></head><body>$text</body></html>";
    }
}
