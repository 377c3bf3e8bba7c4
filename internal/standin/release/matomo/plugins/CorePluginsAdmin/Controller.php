<?php

namespace Piwik\Plugins\CorePluginsAdmin;

use Piwik\Access;
use Piwik\Common;
use Piwik\Config;
use Piwik\Plugin\Manager;
use Piwik\Session;
use Piwik\View;

/** Plugins in the browser: switched on, and, where the configuration says so, uploaded. */
class Controller
{
    public function plugins(): string
    {
        Access::getInstance()->checkSuperUser();
        $plugins = array_map(static fn($name) => ['name' => $name], Manager::getInstance()->all());
        return View::render('CorePluginsAdmin', 'plugins', ['token' => Session::token(), 'nonce' => Session::nonce(), 'plugins' => $plugins]);
    }

    public function activate(): string
    {
        $this->check();
        if (!Session::checkNonce(Common::param('nonce'))) {
            // The password is asked for again before the nonce is looked at.
            header('Location: index.php?module=Login&action=confirmPassword', true, 302);
            return '';
        }
        Manager::getInstance()->setActivated((string) Common::param('pluginName'), true);
        header('Location: index.php?module=CorePluginsAdmin&action=plugins', true, 302);
        return '';
    }

    public function uploadPlugin(): string
    {
        $this->check(!Config::value('General', 'enable_plugin_upload') ? 'Plugin upload disabled by config' : '');
        if (!Session::checkNonce(Common::param('nonce'))) {
            throw new \Exception('Security check failed.');
        }
        throw new \Exception('The stand-in takes no plugins.');
    }

    private function check(string $disabled = ''): void
    {
        if (!Config::value('General', 'enable_plugins_admin')) {
            throw new \Exception('Enabling, disabling and uninstalling plugins has been disabled by Piwik admins.');
        }
        Access::getInstance()->checkSuperUser();
        if ($disabled !== '') {
            throw new \Exception($disabled);
        }
    }
}
