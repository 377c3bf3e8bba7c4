<?php

namespace Piwik\Plugins\PrivacyManager;

use Piwik\Cache;
use Piwik\Option;

/**
 * What is kept of a visitor.
 *
 * @property bool $ipAnonymizerEnabled
 * @property int $ipAddressMaskLength
 * @property bool $useAnonymizedIpForVisitEnrichment
 * @property bool $anonymizeUserId
 * @property bool $anonymizeOrderId
 * @property string $anonymizeReferrer
 */
class Config
{
    private const DEFAULTS = ['ipAnonymizerEnabled' => 1, 'ipAddressMaskLength' => 2, 'useAnonymizedIpForVisitEnrichment' => 0,
        'anonymizeUserId' => 0, 'anonymizeOrderId' => 0, 'anonymizeReferrer' => ''];

    public function __get(string $name)
    {
        $value = Option::get("PrivacyManager.$name");
        return $value === false ? self::DEFAULTS[$name] : (is_int(self::DEFAULTS[$name]) ? (int) $value : $value);
    }

    public function __set(string $name, $value): void
    {
        Option::set("PrivacyManager.$name", is_int(self::DEFAULTS[$name]) ? (string) (int) $value : (string) $value);
        Cache::forget('general');
    }
}
