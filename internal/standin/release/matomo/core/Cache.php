<?php

namespace Piwik;

/** Values kept in PHP files in tmp/cache/tracker, which later requests include. */
class Cache
{
    /** The value named, made anew by $make when it is older than $seconds. */
    public static function remember(string $name, int $seconds, callable $make)
    {
        $file = self::file($name);
        if (is_file($file)) {
            $kept = include $file;
            if (is_array($kept) && $kept['until'] > time()) {
                return $kept['value'];
            }
        }
        $value = $make();
        $code = '<?php return ' . var_export(['until' => time() + $seconds, 'value' => $value], true) . ';';
        $new = tempnam(dirname($file), 'swap');
        if ($new === false || dirname($new) !== dirname($file) || file_put_contents($new, $code) === false) {
            http_response_code(500);
            throw new \RuntimeException("Unable to write the cache file $file");
        }
        chmod($new, 0640);
        rename($new, $file);
        if (function_exists('opcache_invalidate')) {
            @opcache_invalidate($file, true);
        }
        return $value;
    }

    public static function forget(string $name): void
    {
        @unlink(self::file($name));
    }

    public static function flushAll(): void
    {
        foreach (glob(PIWIK_USER_PATH . '/tmp/{cache/tracker/*.php,templates_c/*/*.php,assets/asset_manager_*}', GLOB_BRACE) ?: [] as $file) {
            @unlink($file);
        }
    }

    private static function file(string $name): string
    {
        return PIWIK_USER_PATH . '/tmp/cache/tracker/matomocache_' . preg_replace('/[^a-z0-9_-]/i', '', $name) . '.php';
    }
}
