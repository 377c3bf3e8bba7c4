<?php

/**
 * Runs one action over the classes of a Matomo release, without a web server.
 *
 * One JSON document comes in on stdin and one goes out on stdout; everything
 * else that PHP or Matomo print goes to stderr. Exit code 0, or 1 when the
 * answer holds an error. The document types are Request and Answer of the Go
 * package beside this file.
 *
 * Matomo's configuration must be there already (config.ini.php, with a
 * [database] username and [General] installation_in_progress = 1), in the
 * directory that the release's bootstrap.php takes from MATOMO_DATA.
 */

use Piwik\Access;
use Piwik\Application\Environment;
use Piwik\Columns\Updater as ColumnUpdater;
use Piwik\Common;
use Piwik\Config;
use Piwik\Db;
use Piwik\DbHelper;
use Piwik\Option;
use Piwik\Plugin\Manager;
use Piwik\Plugins\LanguagesManager\API as Languages;
use Piwik\Plugins\PrivacyManager\Config as Privacy;
use Piwik\Plugins\SitesManager\API as Sites;
use Piwik\Plugins\UsersManager\API as Users;
use Piwik\Plugins\UsersManager\Model as UserModel;
use Piwik\SettingsPiwik;
use Piwik\Updater;
use Piwik\Version;

const REQUEST_LIMIT = 65536; // bytes
const LOCK_SECONDS = 300;

error_reporting(E_ALL);
ini_set('display_errors', 'stderr');
ini_set('log_errors', '0');
// The arguments in a stack trace may hold the password.
ini_set('zend.exception_ignore_args', '1');
define('PIWIK_DISPLAY_ERRORS', 'stderr');

$request = [];
$answered = false;
$stray = static function (string $text) use (&$request): string {
    fwrite(STDERR, withoutSecret($text, $request));
    return '';
};
ob_start($stray, 4096);
// A fatal error ends PHP without an exception: answer even then.
register_shutdown_function(static function () use (&$answered): void {
    if (!$answered) {
        answer(['error' => 'PHP ended early: ' . (error_get_last()['message'] ?? 'no cause given')]);
    }
});

try {
    $request = readRequest();
    boot($request['root']);
    switch ($request['action']) {
        case 'state':
            answer(state());
            break;
        case 'install':
            answer(install($request));
            break;
        case 'password':
            answer(setPassword($request['superuser']));
            break;
        default:
            throw new RuntimeException('unknown action ' . json_encode($request['action']));
    }
} catch (Throwable $problem) {
    fwrite(STDERR, withoutSecret((string) $problem, $request) . "\n");
    answer(['error' => $problem->getMessage()]);
}

/** Prints the answer and ends PHP. */
function answer(array $answer): void
{
    global $request, $answered;
    $answered = true;
    while (ob_get_level() > 0) {
        ob_end_clean();
    }
    if (isset($answer['error'])) {
        $answer['error'] = withoutSecret(trim($answer['error']), $request);
    }
    $text = json_encode($answer, JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE);
    fwrite(STDOUT, $text . "\n");
    exit(isset($answer['error']) ? 1 : 0);
}

function withoutSecret(string $text, array $request): string
{
    $password = $request['superuser']['password'] ?? '';
    return $password === '' ? $text : str_replace($password, '[redacted]', $text);
}

function readRequest(): array
{
    $text = stream_get_contents(STDIN, REQUEST_LIMIT + 1);
    if (strlen($text) > REQUEST_LIMIT) {
        throw new RuntimeException('the request on stdin is longer than ' . REQUEST_LIMIT . ' bytes');
    }
    $request = json_decode($text, true);
    if (!is_array($request) || !is_string($request['action'] ?? null) || !is_string($request['root'] ?? null)) {
        throw new RuntimeException('the request on stdin is not a JSON object with "action" and "root"');
    }
    return $request;
}

/** Loads Matomo as its console does, with every right, and no way to the outside. */
function boot(string $root): void
{
    if ($root !== realpath($root) || !is_file($root . '/core/Version.php')) {
        throw new RuntimeException("no Matomo release in $root (a real path is needed)");
    }
    chdir($root);
    define('PIWIK_DOCUMENT_ROOT', $root);
    if (is_file($root . '/bootstrap.php')) {
        require_once $root . '/bootstrap.php';
    }
    if (!defined('PIWIK_INCLUDE_PATH')) {
        define('PIWIK_INCLUDE_PATH', $root);
    }
    $modify = $GLOBALS['MATOMO_MODIFY_CONFIG_SETTINGS'] ?? null;
    $GLOBALS['MATOMO_MODIFY_CONFIG_SETTINGS'] = static function (array $settings) use ($modify): array {
        $settings = $modify === null ? $settings : $modify($settings);
        $settings['General']['enable_internet_features'] = 0;
        $settings['General']['enable_auto_update'] = 0;
        $settings['General']['emails_enabled'] = 0;
        return $settings;
    };
    require_once $root . '/core/bootstrap.php';

    $environment = new Environment('cli');
    $environment->init();
    // Caches may be older than the database.
    Piwik\Cache::flushAll();
    Db::createDatabaseObject();
    Manager::getInstance()->loadActivatedPlugins();
    Manager::getInstance()->loadPluginTranslations();
    Access::getInstance()->setSuperUserAccess(true);
}

/** What is installed. Changes nothing but caches, and versions that Matomo itself records for columns it finds. */
function state(): array
{
    $tables = array_values(DbHelper::getTablesInstalled(true));
    $readable = missingTables() === [];
    $answer = [
        'code_version' => Version::VERSION,
        'database_version' => $readable ? (string) Option::get('version_core') : '',
        'tables' => $tables,
        'superusers' => $readable ? superusers() : [],
        'sites' => $readable ? count(Sites::getInstance()->getAllSitesId()) : 0,
        'plugins_installed' => installedPlugins(),
        'plugins_activated' => activatedPlugins(),
        'missing' => [],
        'outdated' => $readable ? outdatedComponents() : [],
    ];
    // After the first missing step the tests of the later ones mean nothing.
    foreach (steps([]) as $name => [$done]) {
        if ($answer['missing'] !== [] || !$done()) {
            $answer['missing'][] = $name;
        }
    }
    return $answer;
}

/** Does what state() calls missing. May be killed at any point and run again. */
function install(array $request): array
{
    // Another machine may be at it, in the same database. The lock ends with this connection.
    $database = Config::getInstance()->database;
    $lock = 'rocca-install-' . md5($database['dbname'] . '/' . $database['tables_prefix']);
    if (Db::fetchOne('SELECT GET_LOCK(?, ?)', [$lock, LOCK_SECONDS]) != 1) {
        throw new RuntimeException('another machine has been installing Matomo for ' . LOCK_SECONDS . ' seconds');
    }
    if (missingTables() === [] && awaitsUpdate()) {
        throw new RuntimeException('the database holds Matomo ' . Option::get('version_core') . ', the release is '
            . Version::VERSION . "\nhint: take that release (release: in rocca.yaml); or bring the database to this version with: console core:update --yes");
    }
    $steps = [];
    foreach (steps($request) as $name => [$done, $do]) {
        $start = hrtime(true);
        $needed = !$done();
        if ($needed) {
            $do();
            if (!$done()) {
                throw new RuntimeException("install step $name ran but had no effect");
            }
        }
        $steps[] = ['name' => $name, 'changed' => $needed, 'ms' => (hrtime(true) - $start) / 1e6];
    }
    return ['steps' => $steps] + state();
}

function setPassword(array $superuser): array
{
    $users = Users::getInstance();
    if (!$users->userExists($superuser['login'])) {
        throw new RuntimeException('there is no user ' . $superuser['login']);
    }
    Users::$UPDATE_USER_REQUIRE_PASSWORD_CONFIRMATION = false;
    $users->updateUser($superuser['login'], asFormInput($superuser['password']));
    return ['steps' => [['name' => 'password', 'changed' => true, 'ms' => 0]]] + state();
}

/**
 * The steps of an installation in their order: name => [is it done?, do it].
 * A step asks whether there is a value, not whether it is the one requested:
 * once installed, these settings belong to the people who use Matomo.
 */
function steps(array $request): array
{
    $superuser = $request['superuser'] ?? [];
    $site = $request['site'] ?? [];
    return [
        'tables' => [
            static fn() => missingTables() === [],
            static fn() => DbHelper::createTables(),
        ],
        'anonymous' => [
            static fn() => (new UserModel())->getUser('anonymous') && (new UserModel())->getAllHashedTokensForLogins(['anonymous']),
            static fn() => DbHelper::createAnonymousUser(),
        ],
        'install-version' => [
            static fn() => (bool) DbHelper::getInstallVersion(),
            static fn() => DbHelper::recordInstallVersion(),
        ],
        'columns' => [
            static fn() => awaitsUpdate() || (Option::get('version_core') !== false && missingColumns() === []),
            static function (): void {
                // Updates of a plugin must not run on tables that are new: let the next step install it.
                Manager::getInstance()->clearPluginsInstalledConfig();
                resetColumns();
                $updater = new Updater();
                $result = $updater->updateComponents($updater->getComponentUpdates() ?: []);
                if (!empty($result['errors'])) {
                    throw new RuntimeException('add the columns: ' . implode('; ', $result['errors']));
                }
                Updater::recordComponentSuccessfullyUpdated('core', Version::VERSION);
            },
        ],
        'plugins' => [
            static fn() => awaitsUpdate() || pluginsToInstall() === [],
            static function (): void {
                // Some count as installed by default, though nothing was done for them. What the database
                // has is not installed again: it may be that of another machine, with data in it.
                $config = Config::getInstance();
                $config->PluginsInstalled = ['PluginsInstalled' => pluginsOfDatabase()];
                $config->forceSave();
                Manager::getInstance()->installLoadedPlugins();
            },
        ],
        'superuser' => [
            static fn() => superusers() !== [],
            static function () use ($superuser): void {
                $users = Users::getInstance();
                if ($users->userExists($superuser['login'])) {
                    setPassword($superuser); // of an earlier run that was killed right here
                } else {
                    $users->addUser($superuser['login'], asFormInput($superuser['password']), $superuser['email']);
                }
                // Not by the API: its lock would outlive a killed run for a minute.
                (new UserModel())->setSuperUserAccess($superuser['login'], true);
            },
        ],
        'language' => [
            static fn() => array_filter(superusers(), [Languages::getInstance(), 'getLanguageForUser']) !== [],
            static fn() => Languages::getInstance()->setLanguageForUser($superuser['login'], $superuser['language']),
        ],
        'defaults' => [
            static fn() => Option::get(Sites::OPTION_DEFAULT_TIMEZONE) && Option::get(Sites::OPTION_DEFAULT_CURRENCY),
            static function () use ($site): void {
                Sites::getInstance()->setDefaultTimezone($site['timezone']);
                Sites::getInstance()->setDefaultCurrency($site['currency']);
            },
        ],
        'site' => [
            static fn() => Sites::getInstance()->getAllSitesId() !== [],
            static function () use ($site): void {
                $values = ['siteName' => $site['name'], 'urls' => [$site['url']],
                    'timezone' => $site['timezone'], 'currency' => $site['currency']];
                Sites::getInstance()->addSite(...$values);
            },
        ],
        'privacy' => [
            static fn() => Option::get('PrivacyManager.ipAnonymizerEnabled') !== false
                && Option::get('PrivacyManager.ipAddressMaskLength') !== false
                && Option::get('PrivacyManager.anonymizeReferrer') !== false,
            static function () use ($request): void {
                $privacy = new Privacy();
                $privacy->ipAnonymizerEnabled = true;
                $privacy->ipAddressMaskLength = $request['masked_ip_bytes'];
                $privacy->useAnonymizedIpForVisitEnrichment = true;
                $privacy->anonymizeUserId = true;
                $privacy->anonymizeOrderId = true;
                $privacy->anonymizeReferrer = 'exclude_query';
            },
        ],
        'address' => [
            static fn() => (bool) Option::get(SettingsPiwik::OPTION_PIWIK_URL),
            static fn() => SettingsPiwik::overwritePiwikUrl($request['url']),
        ],
        'finish' => [
            static fn() => empty(Config::getInstance()->General['installation_in_progress']),
            static function (): void {
                $config = Config::getInstance();
                $general = $config->General;
                unset($general['installation_in_progress']);
                $config->General = $general;
                $config->forceSave();
            },
        ],
    ];
}

/** Whether the database is of another version: columns and plugins are then a matter of core:update. */
function awaitsUpdate(): bool
{
    return !in_array(Option::get('version_core'), [false, Version::VERSION], true);
}

/** Matomo's API decodes HTML entities, since its forms hand over encoded texts. */
function asFormInput(string $text): string
{
    return htmlspecialchars($text, ENT_QUOTES, 'UTF-8');
}

/** Tables of Matomo's core that are not there, without the prefix. */
function missingTables(): array
{
    $wanted = array_diff(array_keys(DbHelper::getTablesCreateSql()), ['archive_numeric', 'archive_blob']);
    $present = DbHelper::getTablesInstalled(true);
    return array_filter($wanted, static fn($table) => !in_array(Common::prefixTable($table), $present, true));
}

/** Columns that plugins add to the log tables and that are not recorded as added. */
function missingColumns(): array
{
    $updater = new Updater();
    $wanted = (new ColumnUpdater())->getAllVersions($updater);
    return array_filter(
        array_keys($wanted),
        static fn($column) => $updater->getCurrentComponentVersion($column) !== $wanted[$column]
    );
}

/**
 * Takes the log tables back to what they were before plugins added columns: some columns belong to two tables, and
 * when a run was killed after the first, Matomo takes the second for done.
 */
function resetColumns(): void
{
    $tables = array_map([Common::class, 'prefixTable'], ['log_visit', 'log_link_visit_action', 'log_conversion']);
    foreach ($tables as $table) {
        if (Db::fetchOne("SELECT 1 FROM `$table` LIMIT 1")) {
            throw new RuntimeException("table $table holds data, but its columns are incomplete"
                . "\nhint: this is no new installation; try: console core:update --yes");
        }
    }
    Option::deleteLike('version\_log\_%');
    foreach ($tables as $table) {
        Db::exec("DROP TABLE `$table`");
    }
    DbHelper::createTables();
}

/** Active plugins that the database holds as installed. */
function pluginsOfDatabase(): array
{
    return array_values(array_filter(activatedPlugins(), static fn($name) => Option::get("version_$name") !== false));
}

/** Active plugins that either the configuration or the database does not hold as installed. */
function pluginsToInstall(): array
{
    return array_diff(activatedPlugins(), array_intersect(installedPlugins(), pluginsOfDatabase()));
}

/** Core and plugins that are newer in the release than in the database: name, in the database, in the release. */
function outdatedComponents(): array
{
    $outdated = [];
    $versions = ['core' => Version::VERSION];
    foreach (Manager::getInstance()->getLoadedPlugins() as $name => $plugin) {
        $versions[$name] = (string) $plugin->getVersion();
    }
    foreach ($versions as $name => $version) {
        $recorded = Option::get("version_$name");
        if ($recorded !== false && version_compare($recorded, $version, '<')) {
            $outdated[] = ['name' => $name, 'database' => $recorded, 'code' => $version];
        }
    }
    return $outdated;
}

function superusers(): array
{
    return array_column((new UserModel())->getUsersHavingSuperUserAccess(), 'login');
}

function installedPlugins(): array
{
    return array_values(Config::getInstance()->PluginsInstalled['PluginsInstalled'] ?? []);
}

function activatedPlugins(): array
{
    return array_keys(Manager::getInstance()->getLoadedPlugins());
}
