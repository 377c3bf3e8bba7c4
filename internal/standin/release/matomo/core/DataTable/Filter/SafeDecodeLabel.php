<?php

namespace Piwik\DataTable\Filter;

/** Makes a text that a visitor sent, encoded or not, safe to be shown in HTML. */
class SafeDecodeLabel
{
    public static function decodeLabelSafe(string $value): string
    {
        $value = htmlspecialchars_decode(urldecode($value), ENT_QUOTES);
        $value = htmlspecialchars($value, ENT_QUOTES, 'UTF-8');
        return $value;
    }
}
