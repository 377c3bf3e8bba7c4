<?php

namespace Piwik\Plugins\ScheduledReports;

use Piwik\Access;
use Piwik\Archive;
use Piwik\Common;
use Piwik\Db;
use Piwik\File;
use Piwik\Pdf;

class API extends \Piwik\API
{
    public function addReport(int $idSite, string $description, string $period, string $reportFormat, array $reports): int
    {
        Access::getInstance()->checkSite('view', $idSite);
        return Db::insert('report', ['idsite' => $idSite, 'login' => Access::getInstance()->login(), 'description' => $description,
            'period' => $period, 'format' => $reportFormat, 'reports' => json_encode($reports)]);
    }

    public function generateReport(int $idReport, string $date): File
    {
        $report = Db::fetchRow('SELECT * FROM ' . Common::prefixTable('report') . ' WHERE idreport = ? AND deleted = 0', [$idReport]);
        if ($report === null) {
            throw new \Exception("Requested report couldn't be found.");
        }
        $lines = [$report['description'], ''];
        foreach (Archive::ask((int) $report['idsite'], $report['period'] === 'never' ? 'day' : $report['period'], $date) as $label => $archive) {
            $lines[] = $label;
            foreach ($archive->visits() as $name => $value) {
                $lines[] = "$name: $value";
            }
        }
        // By way of the directories that the sandbox has to leave writable.
        $part = tempnam(PIWIK_USER_PATH . '/tmp/tcpdf', '__tcpdf_');
        file_put_contents($part, Pdf::page($lines));
        $file = PIWIK_USER_PATH . "/tmp/assets/report.$idReport." . basename($part) . '.pdf';
        rename($part, $file);
        $content = (string) file_get_contents($file);
        unlink($file);
        return new File('application/pdf', $content);
    }
}
