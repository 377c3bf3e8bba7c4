<?php

namespace Piwik\Plugins\Actions;

use Piwik\Archive;

class API extends \Piwik\API
{
    public function getPageUrls(int $idSite, string $period, string $date, string $segment = '', int $filter_limit = 100): array
    {
        $reports = array_map(static fn(Archive $archive) => array_slice($archive->pages(), 0, $filter_limit < 0 ? null : $filter_limit), Archive::ask($idSite, $period, $date, $segment));
        return count($reports) === 1 ? reset($reports) : $reports;
    }
}
