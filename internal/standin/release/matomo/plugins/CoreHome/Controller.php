<?php

namespace Piwik\Plugins\CoreHome;

use Piwik\Access;
use Piwik\Archive;
use Piwik\Common;
use Piwik\Db;
use Piwik\Exception\NoAccessException;
use Piwik\Version;
use Piwik\View;

class Controller
{
    public function index(): string
    {
        $sites = Access::getInstance()->sites();
        if ($sites === []) {
            throw new NoAccessException('You must be logged in to access this page.');
        }
        $site = (int) Common::param('idSite');
        if ($site === 0) {
            header("Location: index.php?module=CoreHome&action=index&idSite=$sites[0]&period=day&date=yesterday", true, 302);
            return '';
        }
        $date = Common::param('date') ?? 'yesterday';
        $reports = Archive::ask($site, Common::param('period') ?? 'day', $date);
        $archive = reset($reports);
        $rows = [];
        foreach ($archive->visits() as $name => $value) {
            $rows[] = ['name' => $name, 'value' => $value];
        }
        return View::render('CoreHome', 'dashboard', [
            'site' => Db::fetchOne('SELECT name FROM ' . Common::prefixTable('site') . ' WHERE idsite = ?', [$site]),
            'login' => Access::getInstance()->login(), 'date' => $date, 'rows' => $rows, 'pages' => $archive->pages(), 'version' => Version::VERSION,
        ]);
    }
}
