<?php

namespace Piwik\Plugins\API;

use Piwik\Access;
use Piwik\ApiRequest;
use Piwik\Plugin;
use Piwik\Version;

/** The plugin, and the methods called API.METHOD. */
class API extends Plugin
{
    public function getMatomoVersion(): string
    {
        Access::getInstance()->checkAnySite('view');
        return Version::VERSION;
    }

    /** @param string[] $urls queries of calls */
    public function getBulkRequest(array $urls): array
    {
        return (new ApiRequest())->callAll($urls);
    }

    public function getSettings(): array
    {
        return ['SDK_batch_size' => 10, 'SDK_interval_value' => 30];
    }
}
