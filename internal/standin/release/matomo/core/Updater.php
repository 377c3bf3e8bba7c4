<?php

namespace Piwik;

/** Brings the database to the version of the code. */
class Updater
{
    /** Whether a page offers an update of the database. */
    public static function isAllowedByWeb(): bool
    {
        return Config::value('General', 'enable_auto_update') && Config::value('General', 'enable_internet_features');
    }

    /** @return string|false */
    public function getCurrentComponentVersion(string $component)
    {
        return Option::get("version_$component");
    }

    public static function recordComponentSuccessfullyUpdated(string $component, string $version): void
    {
        Option::set("version_$component", $version);
    }

    /** @return array<string, string>|null component => version to reach; null when there is nothing to do */
    public function getComponentUpdates(): ?array
    {
        $wanted = ['core' => Version::VERSION] + (new Columns\Updater())->getAllVersions($this);
        foreach (Plugin\Manager::getInstance()->getLoadedPlugins() as $name => $plugin) {
            if (Plugin\Manager::getInstance()->isPluginInstalled($name)) {
                $wanted[$name] = $plugin->getVersion();
            }
        }
        return array_filter($wanted, fn($version, $component) => $this->getCurrentComponentVersion($component) !== $version, ARRAY_FILTER_USE_BOTH) ?: null;
    }

    /** @return array{errors: string[]} */
    public function updateComponents(array $components): array
    {
        try {
            if (isset($components['core'])) {
                $this->runUpdateFiles((string) $this->getCurrentComponentVersion('core'));
            }
            (new Columns\Updater())->add(array_keys($components));
        } catch (\PDOException $problem) {
            return ['errors' => [$problem->getMessage()]];
        }
        foreach ($components as $component => $version) {
            self::recordComponentSuccessfullyUpdated($component, $version);
        }
        Cache::flushAll();
        return ['errors' => []];
    }

    private function runUpdateFiles(string $from): void
    {
        if ($from === '') {
            return; // new tables need no update
        }
        foreach (glob(PIWIK_INCLUDE_PATH . '/core/Updates/*.php') as $file) {
            $version = basename($file, '.php');
            if (version_compare($from, $version, '<') && version_compare($version, Version::VERSION, '<=')) {
                foreach (require $file as $statement) {
                    Db::exec($statement);
                }
            }
        }
    }
}
