<?php

namespace Piwik\Plugin;

use Piwik\Config;
use Piwik\Plugin;
use Piwik\Updater;

/** Which plugins there are, which are on, and which have been installed. */
class Manager
{
    private const ALWAYS_ON = ['API', 'BulkTracking', 'CoreAdminHome', 'CoreConsole', 'CoreHome', 'CorePluginsAdmin', 'CoreUpdater', 'Installation', 'LanguagesManager', 'Morpheus', 'Proxy', 'SitesManager', 'UsersManager'];

    private static ?Manager $instance = null;

    /** @var array<string, Plugin> */
    private array $loaded = [];

    public static function getInstance(): Manager
    {
        return self::$instance ??= new self();
    }

    public function loadActivatedPlugins(): void
    {
        $this->loaded = [];
        foreach (array_unique(array_merge($this->activated(), self::ALWAYS_ON)) as $name) {
            $class = "Piwik\\Plugins\\$name\\$name";
            if (preg_match('/^\w+$/', $name) && class_exists($class)) {
                $plugin = new $class();
                if (!$plugin->requiresInternetConnection() || Config::value('General', 'enable_internet_features')) {
                    $this->loaded[$name] = $plugin;
                }
            }
        }
    }

    public function loadPluginTranslations(): void
    {
    }

    /** @return array<string, Plugin> */
    public function getLoadedPlugins(): array
    {
        return $this->loaded;
    }

    public function isPluginActivated(string $name): bool
    {
        return isset($this->loaded[$name]);
    }

    public function isPluginInstalled(string $name): bool
    {
        return in_array($name, Config::getInstance()->PluginsInstalled['PluginsInstalled'] ?? [], true);
    }

    /** @return string[] names of all plugins of the release */
    public function all(): array
    {
        return array_map('basename', glob(PIWIK_INCLUDE_PATH . '/plugins/*', GLOB_ONLYDIR));
    }

    public function clearPluginsInstalledConfig(): void
    {
        Config::getInstance()->PluginsInstalled = ['PluginsInstalled' => []];
        Config::getInstance()->forceSave();
    }

    public function installLoadedPlugins(): void
    {
        foreach ($this->loaded as $name => $plugin) {
            if (!$this->isPluginInstalled($name)) {
                $plugin->install();
                Updater::recordComponentSuccessfullyUpdated($name, $plugin->getVersion());
                $installed = Config::getInstance()->PluginsInstalled['PluginsInstalled'] ?? [];
                Config::getInstance()->PluginsInstalled = ['PluginsInstalled' => array_merge($installed, [$name])];
                Config::getInstance()->forceSave();
            }
        }
    }

    public function setActivated(string $name, bool $on): void
    {
        if (!in_array($name, $this->all(), true)) {
            throw new \RuntimeException("The plugin $name does not exist.");
        }
        $names = array_diff($this->activated(), [$name]);
        Config::getInstance()->Plugins = ['Plugins' => array_values($on ? array_merge($names, [$name]) : $names)];
        Config::getInstance()->forceSave();
        $this->loadActivatedPlugins();
        $this->installLoadedPlugins();
    }

    /** @return string[] */
    private function activated(): array
    {
        return Config::getInstance()->Plugins['Plugins'] ?? [];
    }
}
