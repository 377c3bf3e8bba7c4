<?php

namespace Piwik\Plugins\PrivacyManager;

use Piwik\Cache;
use Piwik\Option;

/**
 * What is kept of a visitor.
 *
 * @property bool $ipAnonymizerEnabled
 * @property int $ipAddressMaskLength
 */
class Config
{
    private const DEFAULTS = ['ipAnonymizerEnabled' => '1', 'ipAddressMaskLength' => '2'];

    public function __get(string $name): int
    {
        $value = Option::get("PrivacyManager.$name");
        return (int) ($value === false ? self::DEFAULTS[$name] : $value);
    }

    public function __set(string $name, $value): void
    {
        Option::set("PrivacyManager.$name", (string) (int) $value);
        Cache::forget('general');
    }
}
