<?php

namespace Piwik\Plugins\ScheduledReports;

use Piwik\View;

class Controller
{
    public function unsubscribe(): string
    {
        return View::render('ScheduledReports', 'unsubscribe', []);
    }
}
