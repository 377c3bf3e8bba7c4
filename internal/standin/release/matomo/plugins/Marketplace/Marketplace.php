<?php

namespace Piwik\Plugins\Marketplace;

class Marketplace extends \Piwik\Plugin
{
    public function requiresInternetConnection(): bool
    {
        return true;
    }
}
