<?php

namespace Piwik\Plugins\VisitsSummary;

use Piwik\Archive;

class API extends \Piwik\API
{
    public function get(int $idSite, string $period, string $date, string $segment = ''): array
    {
        $reports = array_map(static fn(Archive $archive) => $archive->visits(), Archive::ask($idSite, $period, $date, $segment));
        return count($reports) === 1 ? reset($reports) : $reports;
    }
}
