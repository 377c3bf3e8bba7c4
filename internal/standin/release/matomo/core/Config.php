<?php

namespace Piwik;

/**
 * The merged configuration: global.ini.php of the release, then
 * common.config.ini.php and config.ini.php of PIWIK_USER_PATH. A section is
 * read and set as a property: $config->General['salt'].
 */
class Config
{
    private const GUARD = '; <?php exit; ?> DO NOT REMOVE THIS LINE';

    private static ?Config $instance = null;

    /** @var array<string, array> */
    private array $defaults;
    /** @var array<string, array> */
    private array $merged;

    public static function getInstance(): Config
    {
        return self::$instance ??= new self();
    }

    public static function localPath(): string
    {
        return PIWIK_USER_PATH . '/config/config.ini.php';
    }

    private function __construct()
    {
        $common = PIWIK_USER_PATH . '/config/common.config.ini.php';
        $this->defaults = self::merge(
            self::read(PIWIK_INCLUDE_PATH . '/config/global.ini.php'),
            is_readable($common) ? self::read($common) : []
        );
        $local = is_readable(self::localPath()) ? self::read(self::localPath()) : [];
        $this->merged = self::merge($this->defaults, $local);
        if (!empty($GLOBALS['MATOMO_MODIFY_CONFIG_SETTINGS'])) {
            $this->merged = ($GLOBALS['MATOMO_MODIFY_CONFIG_SETTINGS'])($this->merged);
        }
    }

    public function __get(string $section): array
    {
        return $this->merged[$section] ?? [];
    }

    public function __set(string $section, array $values): void
    {
        $this->merged[$section] = $values;
    }

    public static function value(string $section, string $key, $default = null)
    {
        return self::getInstance()->merged[$section][$key] ?? $default;
    }

    /** Writes what differs from the defaults to config.ini.php. */
    public function forceSave(): void
    {
        $lines = [self::GUARD];
        foreach ($this->merged as $section => $values) {
            $changed = [];
            foreach ($values as $key => $value) {
                if (!array_key_exists($key, $this->defaults[$section] ?? []) || $this->defaults[$section][$key] != $value) {
                    foreach ((array) $value as $item) {
                        $changed[] = $key . (is_array($value) ? '[]' : '') . ' = "' . self::encode((string) $item) . '"';
                    }
                }
            }
            if ($changed !== []) {
                $lines = array_merge($lines, ["[$section]"], $changed, ['']);
            }
        }
        if (@file_put_contents(self::localPath(), implode("\n", $lines) . "\n") === false) {
            throw new \RuntimeException('The Matomo configuration file (config/config.ini.php) is not writable.');
        }
    }

    private static function read(string $path): array
    {
        $sections = parse_ini_string((string) file_get_contents($path), true, INI_SCANNER_RAW);
        if ($sections === false) {
            throw new \RuntimeException("Unable to parse the configuration file $path");
        }
        array_walk_recursive($sections, static function (&$value): void {
            $value = html_entity_decode($value, ENT_QUOTES, 'UTF-8');
        });
        return $sections;
    }

    private static function merge(array $under, array $over): array
    {
        foreach ($over as $section => $values) {
            $under[$section] = array_merge($under[$section] ?? [], $values);
        }
        return $under;
    }

    private static function encode(string $value): string
    {
        return str_replace('$', '&#36;', htmlentities($value, ENT_COMPAT, 'UTF-8'));
    }
}
