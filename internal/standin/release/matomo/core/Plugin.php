<?php

namespace Piwik;

/** A plugin. Its class is Piwik\Plugins\NAME\NAME. */
class Plugin
{
    public function getVersion(): string
    {
        return Version::VERSION;
    }

    /** Creates the tables of the plugin. May be called more than once. */
    public function install(): void
    {
    }

    public function requiresInternetConnection(): bool
    {
        return false;
    }
}
