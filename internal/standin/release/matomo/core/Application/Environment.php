<?php

namespace Piwik\Application;

use Piwik\Config;
use Piwik\Exception\NotYetInstalledException;
use Piwik\SettingsPiwik;

/** Checks what a request needs before anything else: 'ui', 'cli' or 'tracker'. */
class Environment
{
    private const DIRECTORIES = ['assets', 'cache', 'cache/tracker', 'climulti', 'logs', 'tcpdf', 'templates_c'];

    private string $type;

    public function __construct(string $type)
    {
        $this->type = $type;
    }

    public function init(): void
    {
        if ($this->type === 'tracker') {
            if (!SettingsPiwik::isMatomoInstalled()) {
                throw new NotYetInstalledException('As Matomo is not installed yet, the Tracking API cannot proceed and will exit without error.');
            }
        } elseif ($this->type === 'cli' && !is_readable(Config::localPath())) {
            throw new NotYetInstalledException('The configuration file {' . Config::localPath() . '} has not been found or could not be read.');
        }
        $this->prepareTmp();
    }

    private function prepareTmp(): void
    {
        $tmp = PIWIK_USER_PATH . '/tmp';
        foreach (self::DIRECTORIES as $directory) {
            $path = "$tmp/$directory";
            // Another process may make it meanwhile.
            if (!is_dir($path) && !@mkdir($path, 0750) && !is_dir($path) || !is_writable($path)) {
                http_response_code(500);
                throw new \RuntimeException("Matomo couldn't write to the directory $path.");
            }
            if (!is_file("$path/index.htm")) {
                file_put_contents("$path/index.htm", 'Nothing to see here.');
            }
        }
    }
}
