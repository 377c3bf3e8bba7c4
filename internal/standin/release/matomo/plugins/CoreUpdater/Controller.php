<?php

namespace Piwik\Plugins\CoreUpdater;

use Piwik\Updater;

class Controller
{
    /** While an update is pending and updates by the web are on, anybody may see and start it, as in the original. */
    public function index(): string
    {
        $this->check();
        return '<html><head><title>Matomo &rsaquo; Update</title></head><body>The database has to be updated. <a href="index.php?module=CoreUpdater&action=runUpdaterAndExit&updateCorePlugins=1">Update</a></body></html>';
    }

    public function runUpdaterAndExit(): string
    {
        $components = $this->check();
        $result = (new Updater())->updateComponents($components);
        return '<html><head><title>Matomo &rsaquo; Update</title></head><body>' . ($result['errors'] === [] ? 'Success' : 'Update error') . '</body></html>';
    }

    private function check(): array
    {
        $components = Updater::isAllowedByWeb() ? (new Updater())->getComponentUpdates() : null;
        if ($components === null) {
            throw new \Exception('There is nothing to update.');
        }
        return $components;
    }
}
