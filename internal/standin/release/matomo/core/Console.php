<?php

namespace Piwik;

use Piwik\Application\Environment;
use Throwable;

/** The command line: console COMMAND [arguments]. */
class Console
{
    private const COMMANDS = [
        'climulti:request' => 'climulti',
        'config:get' => 'configGet',
        'config:set' => 'configSet',
        'core:archive' => 'archive',
        'core:clear-caches' => 'clearCaches',
        'cache:clear' => 'clearCaches',
        'core:update' => 'update',
        'core:version' => 'version',
        'diagnostics:run' => 'diagnose',
        'plugin:activate' => 'activate',
        'plugin:deactivate' => 'deactivate',
        'plugin:list' => 'plugins',
        'scheduled-tasks:run' => 'tasks',
        'core:run-scheduled-tasks' => 'tasks',
    ];

    /** @param string[] $arguments without the name of the program
     *  @return int exit code */
    public function run(array $arguments): int
    {
        $command = $arguments[0] ?? 'list';
        if ($command === '--version' || $command === '-V') {
            echo 'Matomo ' . Version::VERSION . "\n";
            return 0;
        }
        if ($command === 'list') {
            echo 'Matomo ' . Version::VERSION . "\n\nAvailable commands:\n  " . implode("\n  ", array_keys(self::COMMANDS)) . "\n";
            return 0;
        }
        try {
            if (!isset(self::COMMANDS[$command])) {
                throw new \Exception("Command \"$command\" is not defined.");
            }
            (new Environment('cli'))->init();
            Access::getInstance()->setSuperUserAccess(true);
            Plugin\Manager::getInstance()->loadActivatedPlugins();
            return $this->{self::COMMANDS[$command]}(array_slice($arguments, 1));
        } catch (Throwable $problem) {
            self::log('ERROR', 'Uncaught exception: ' . $problem->getMessage());
            return 1;
        }
    }

    private function version(): int
    {
        echo Version::VERSION . "\n";
        return 0;
    }

    private function clearCaches(): int
    {
        Cache::flushAll();
        echo "\nCaches cleared\n\n";
        return 0;
    }

    private function update(array $arguments): int
    {
        $updater = new Updater();
        $components = $updater->getComponentUpdates();
        if ($components === null) {
            echo "\nEverything is already up to date.\n\n";
            return 0;
        }
        echo 'Components to update: ' . implode(', ', array_keys($components)) . "\n";
        if (!in_array('--yes', $arguments, true)) {
            echo "Append --yes to run the update.\n";
            return 1;
        }
        $result = $updater->updateComponents($components);
        foreach ($result['errors'] as $error) {
            echo "[X] Critical Error during the update process: $error\n";
        }
        echo $result['errors'] === [] ? "\nMatomo has been successfully updated!\n\n" : "\nMatomo could not be updated!\n\n";
        return $result['errors'] === [] ? 0 : 1;
    }

    /** Archives each site in processes of its own, as the original does. */
    private function archive(): int
    {
        if (Config::value('General', 'maintenance_mode')) {
            self::log('INFO', "Archiving won't run because maintenance mode is enabled");
            return 0;
        }
        self::log('INFO', 'Running Matomo ' . Version::VERSION . ' as Super User');
        Option::set('LastFullArchivingStartTime', (string) time());
        $lock = PIWIK_USER_PATH . '/tmp/climulti/archive.sharedsiteids.pid';
        file_put_contents($lock, (string) getmypid());
        $errors = $requests = 0;
        foreach (Db::fetchAll('SELECT idsite FROM ' . Common::prefixTable('site') . ' ORDER BY idsite') as $site) {
            foreach (['day', 'week', 'month', 'year'] as $period) {
                foreach ($period === 'day' ? ['yesterday', 'today'] : ['today'] as $date) {
                    $requests++;
                    $errors += $this->archiveInProcess("idSite={$site['idsite']}&period=$period&date=$date") ? 0 : 1;
                }
            }
        }
        unlink($lock);
        self::log('INFO', 'Done archiving!');
        if ($errors > 0) {
            self::log('ERROR', "$errors total errors during this script execution, please investigate and try and fix these errors.");
            return 1;
        }
        Option::set('LastCompletedFullArchiving', (string) time());
        self::log('INFO', "done: $requests req, no error");
        return $this->tasks();
    }

    private function archiveInProcess(string $query): bool
    {
        if (!function_exists('shell_exec')) {
            self::log('ERROR', "Error: unable to start a process to archive $query");
            return false;
        }
        $words = [PHP_BINARY, '-d', 'pcre.jit=0', PIWIK_INCLUDE_PATH . '/console', 'climulti:request', $query];
        $output = (string) shell_exec(implode(' ', array_map('escapeshellarg', $words)) . ' 2>&1');
        $answer = json_decode($output, true);
        if (!isset($answer['nb_visits'])) {
            self::log('ERROR', "Got invalid response for $query: $output");
            return false;
        }
        self::log('INFO', "Archived website $query, {$answer['nb_visits']} visits found.");
        return true;
    }

    private function climulti(array $arguments): int
    {
        parse_str($arguments[0] ?? '', $query);
        foreach (Archive::ask((int) $query['idSite'], $query['period'], $query['date']) as $archive) {
            echo json_encode($archive->make()['visits']);
        }
        return 0;
    }

    private function tasks(): int
    {
        self::log('INFO', 'Starting Scheduled tasks... ');
        Db::query('DELETE FROM ' . Common::prefixTable('brute_force_log') . ' WHERE attempted_at < NOW() - INTERVAL 7 DAY');
        Db::query('DELETE FROM ' . Common::prefixTable('session') . ' WHERE modified + lifetime < ?', [time()]);
        Option::set('TaskScheduler.timetable', json_encode(['last' => time()]));
        self::log('INFO', 'done');
        echo "\nScheduled Tasks executed\n\n";
        return 0;
    }

    private function configGet(array $arguments): int
    {
        $options = self::options($arguments);
        $value = Config::getInstance()->{$options['section'] ?? ''};
        if (isset($options['key'])) {
            $value = $value[$options['key']] ?? null;
        }
        echo $value === null || $value === [] ? "Nothing found\n" : json_encode($value, JSON_UNESCAPED_SLASHES) . "\n";
        return 0;
    }

    private function configSet(array $arguments): int
    {
        $options = self::options($arguments);
        $section = $options['section'] ?? '';
        $values = Config::getInstance()->$section;
        $values[$options['key'] ?? ''] = $options['value'] ?? '';
        Config::getInstance()->$section = $values;
        Config::getInstance()->forceSave();
        return 0;
    }

    private function plugins(): int
    {
        $manager = Plugin\Manager::getInstance();
        foreach ($manager->all() as $name) {
            printf("| %-21s | %-17s | %-9s |\n", $name, 'Core', $manager->isPluginActivated($name) ? 'Activated' : 'Inactive');
        }
        return 0;
    }

    private function activate(array $arguments): int
    {
        Plugin\Manager::getInstance()->setActivated($arguments[0] ?? '', true);
        echo "Activated plugin $arguments[0]\n";
        return 0;
    }

    private function deactivate(array $arguments): int
    {
        Plugin\Manager::getInstance()->setActivated($arguments[0] ?? '', false);
        echo "Deactivated plugin $arguments[0]\n";
        return 0;
    }

    private function diagnose(): int
    {
        $problems = 0;
        foreach (['pdo_mysql', 'json', 'session', 'mbstring', 'gd', 'zlib'] as $extension) {
            if (!extension_loaded($extension)) {
                echo "PHP extension: ERROR $extension is missing\n";
                $problems++;
            }
        }
        foreach ($this->changedFiles() as $problem) {
            echo "File integrity: ERROR $problem\n";
            $problems++;
        }
        if (!Option::get('LastCompletedFullArchiving')) {
            echo "Set up Cron: WARNING archiving has never run\n";
            $problems++;
        }
        echo $problems === 0 ? "All is well.\n" : "$problems problems detected\n";
        return $problems === 0 ? 0 : 1;
    }

    /** @return string[] what differs from the manifest */
    private function changedFiles(): array
    {
        $manifest = PIWIK_INCLUDE_PATH . '/config/manifest.inc.php';
        if (!is_file($manifest)) {
            return ['the manifest is missing'];
        }
        require_once $manifest;
        $problems = [];
        foreach (Manifest::$files as $path => [$size, $hash]) {
            $file = PIWIK_INCLUDE_PATH . "/$path";
            if (!is_file($file)) {
                $problems[] = "Missing file: $path";
            } elseif (hash_file('sha256', $file) !== $hash) {
                $problems[] = "File was changed: $path";
            }
        }
        return $problems;
    }

    /** @return array<string, string> --name=value */
    private static function options(array $arguments): array
    {
        $options = [];
        foreach ($arguments as $argument) {
            if (preg_match('/^--([\w-]+)=(.*)$/s', $argument, $match)) {
                $options[$match[1]] = $match[2];
            }
        }
        return $options;
    }

    private static function log(string $level, string $message): void
    {
        printf("%-9s [%s] %d  %s\n", $level, gmdate('Y-m-d H:i:s'), getmypid(), $message);
    }
}
