<?php

namespace Piwik;

/** What is true of this installation as a whole. */
class SettingsPiwik
{
    public const OPTION_PIWIK_URL = 'piwikUrl';

    public static function isMatomoInstalled(): bool
    {
        return is_readable(Config::localPath())
            && !empty(Config::value('database', 'username'))
            && empty(Config::value('General', 'installation_in_progress'));
    }

    public static function overwritePiwikUrl(string $url): void
    {
        Option::set(self::OPTION_PIWIK_URL, $url);
    }
}
