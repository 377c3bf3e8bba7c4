<?php

/** Finds Piwik\Plugins\X\Y in plugins/X/Y.php and Piwik\A\B in core/A/B.php. */
class StandinAutoloader
{
    public static function register(): void
    {
        spl_autoload_register(static function (string $class): void {
            $root = dirname(__DIR__, 2);
            $path = str_replace('\\', '/', $class);
            if (strncmp($path, 'Piwik/Plugins/', 14) === 0) {
                $file = $root . '/plugins/' . substr($path, 14) . '.php';
            } elseif (strncmp($path, 'Piwik/', 6) === 0) {
                $file = $root . '/core/' . substr($path, 6) . '.php';
            } else {
                return;
            }
            if (is_file($file)) {
                require_once $file;
            }
        });
    }
}
