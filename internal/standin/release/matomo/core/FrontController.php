<?php

namespace Piwik;

use Piwik\Application\Environment;
use Piwik\Exception\NoAccessException;
use Piwik\Exception\NotYetInstalledException;
use Piwik\Exception\TooManyFailuresException;
use Throwable;

/** Answers index.php: a page (module and action) or a call of the API. */
class FrontController
{
    private const CSP = "default-src 'self' 'unsafe-inline' 'unsafe-eval'; img-src 'self' 'unsafe-inline' 'unsafe-eval' data:;";

    public function run(): void
    {
        // A fatal error must not end in an empty 200.
        register_shutdown_function(static function (): void {
            if ((error_get_last()['type'] ?? 0) & (E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR) && !headers_sent()) {
                http_response_code(500);
            }
        });
        header('X-Matomo-Request-Id: ' . substr(bin2hex(random_bytes(3)), 0, 5));
        $module = Common::param('module') ?? 'CoreHome';
        $action = Common::param('action') ?: 'index';
        try {
            (new Environment('ui'))->init();
            if (strpos(strtok($_SERVER['REQUEST_URI'] ?? '', '?'), 'index.php/') !== false) {
                header('Location: ' . Common::url('index.php'), true, 302);
                return;
            }
            $this->checkInstalled($module);
            $this->checkMaintenance();
            $this->checkHttps();
            Db::get();
            $this->checkVersions($module);
            Plugin\Manager::getInstance()->loadActivatedPlugins();
            Plugin\Manager::getInstance()->installLoadedPlugins(); // fails when one is missing in a configuration that cannot be written
            if ($module === 'API' && $action === 'index') {
                (new ApiRequest())->answer();
                return;
            }
            $this->page($module, $action);
        } catch (Throwable $problem) {
            $this->fail($problem, $module);
        }
    }

    private function page(string $module, string $action): void
    {
        header('Cache-Control: no-store, must-revalidate');
        $token = (string) Common::param('token_auth');
        if ($token === '') {
            Session::start();
        }
        ApiRequest::letOthersRead(); // pages ask the API themselves
        $class = "Piwik\\Plugins\\$module\\Controller";
        if (!preg_match('/^\w+$/', "$module$action") || !class_exists($class) || !is_callable([new $class(), $action])) {
            throw new \Exception("The action '$action' of the plugin '$module' does not exist or is not enabled.");
        }
        try {
            Auth::checkAddressMayTry();
            $token === '' ? Session::authenticate() : (new ApiRequest())->authenticate();
            $html = (new $class())->$action();
        } catch (NoAccessException $refused) {
            // The start page asks to sign in, any other refuses.
            if (($_SERVER['QUERY_STRING'] ?? '') !== '') {
                http_response_code(403);
            }
            $html = (new Plugins\Login\Controller())->index();
        }
        if (!headers_sent() && strpos(implode('', headers_list()), 'X-No-Frame-Rule') === false) {
            if (!Config::value('General', 'enable_framed_pages')) {
                header('X-Frame-Options: sameorigin');
            }
            header('Referrer-Policy: same-origin');
            header('Content-Security-Policy: ' . self::CSP);
        }
        header_remove('X-No-Frame-Rule');
        echo $html;
    }

    private function checkInstalled(string $module): void
    {
        if (SettingsPiwik::isMatomoInstalled()) {
            return;
        }
        if (!Config::value('General', 'enable_installer')) {
            throw new NotYetInstalledException('Matomo is not set up yet', 404);
        }
        if (!is_writable(file_exists(Config::localPath()) ? Config::localPath() : dirname(Config::localPath()))) {
            throw new \Exception('The Matomo configuration file (config/config.ini.php) is not writable, some of your changes might not be saved.');
        }
        echo View::render('Installation', 'welcome', ['version' => Version::VERSION]);
        exit;
    }

    private function checkMaintenance(): void
    {
        if (Config::value('General', 'maintenance_mode')) {
            http_response_code(Config::value('General', 'multi_server_environment') ? 200 : 503);
            header('Content-Type: text/html; charset=UTF-8');
            echo '<html><head><title>Maintenance</title></head><body>We will be back up and running again soon, so please try again later. Your analytics data will continue to be tracked as normal.</body></html>';
            exit;
        }
    }

    private function checkHttps(): void
    {
        if (Config::value('General', 'force_ssl') && !Common::isHttps()) {
            header('Location: https://' . Common::host() . ($_SERVER['REQUEST_URI'] ?? '/'), true, 302);
            exit;
        }
    }

    private function checkVersions(string $module): void
    {
        $database = (string) Option::get('version_core');
        if (version_compare($database, Version::VERSION, '>')) {
            throw new \Exception("Your Matomo codebase is running the old version " . Version::VERSION . " and the database holds the newer version $database.");
        }
        if (version_compare($database, Version::VERSION, '<') && Updater::isAllowedByWeb() && $module !== 'CoreUpdater') {
            if ($module === 'API') {
                http_response_code(503);
                throw new \Exception('Database Upgrade Required. Your Matomo database is out-of-date, and must be upgraded before you can continue.');
            }
            header('Location: index.php?module=CoreUpdater', true, 302);
            exit;
        }
    }

    private function fail(Throwable $problem, string $module): void
    {
        if ($problem instanceof NotYetInstalledException && $problem->getCode() === 404) {
            http_response_code(404);
        } elseif (http_response_code() < 500) {
            http_response_code(500);
        }
        error_log('Error in Matomo: ' . str_replace("\n", ' ', $problem->getMessage()));
        if ($module === 'API') {
            ApiRequest::printError($problem->getMessage());
            return;
        }
        header('Content-Type: text/html; charset=utf-8');
        header('Cache-Control: private, no-cache, no-store');
        echo '<html><head><title>Matomo &rsaquo; Error</title></head><body><h1>Matomo</h1><p>' . Common::escape($problem->getMessage()) . '</p><p><a href="index.php">&laquo; Back to Matomo</a></p></body></html>';
    }
}
