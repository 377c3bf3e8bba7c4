<?php

namespace Piwik;

/** Small things that every part uses. */
class Common
{
    public static function prefixTable(string $table): string
    {
        return Config::value('database', 'tables_prefix', '') . $table;
    }

    public static function escape($text): string
    {
        return htmlspecialchars((string) $text, ENT_QUOTES, 'UTF-8');
    }

    /** A parameter of the request, or null. */
    public static function param(string $name): ?string
    {
        $value = ($_GET + $_POST)[$name] ?? null;
        return is_string($value) ? $value : null;
    }

    /** The client's address: that of the peer, or of the proxy headers that the configuration names. */
    public static function clientAddress(): string
    {
        foreach ((array) Config::value('General', 'proxy_client_headers', []) as $header) {
            $addresses = explode(',', $_SERVER[$header] ?? '');
            $address = trim(end($addresses));
            if (filter_var($address, FILTER_VALIDATE_IP)) {
                return $address;
            }
        }
        return $_SERVER['REMOTE_ADDR'] ?? '0.0.0.0';
    }

    /** The name this was asked by, or the first trusted one when that does not end as any of them; that of a proxy's header when the configuration names one. */
    public static function host(): string
    {
        foreach ((array) Config::value('General', 'proxy_host_headers', []) as $header) {
            if (!empty($_SERVER[$header])) {
                return self::escape($_SERVER[$header]);
            }
        }
        $host = $_SERVER['HTTP_HOST'] ?? '';
        $trusted = (array) Config::value('General', 'trusted_hosts', []);
        foreach ($trusted as $name) {
            if (substr(rtrim(strtolower($host), '.'), -strlen($name)) === strtolower($name)) {
                return $host;
            }
        }
        return $trusted[0] ?? $host;
    }

    public static function url(string $path): string
    {
        $directory = rtrim(dirname($_SERVER['SCRIPT_NAME'] ?? '/'), '/');
        return (self::isHttps() ? 'https://' : 'http://') . self::host() . "$directory/$path";
    }

    public static function isHttps(): bool
    {
        return !empty(Config::value('General', 'assume_secure_protocol'))
            || in_array(strtolower($_SERVER['HTTPS'] ?? ''), ['on', '1'], true);
    }
}
