<?php

namespace Piwik\Plugins\CoreAdminHome;

use Piwik\View;

/** Pages for visitors of the tracked sites; sites show them in a frame. */
class Controller
{
    public function optOut(): string
    {
        header('X-No-Frame-Rule: 1');
        return View::render('CoreAdminHome', 'optOut', []);
    }

    public function optOutJS(): string
    {
        header('X-No-Frame-Rule: 1');
        header('Cache-Control: no-store');
        header('Content-Type: application/javascript; charset=utf-8');
        return "document.addEventListener('DOMContentLoaded', function () {\n"
            . "  var place = document.getElementById('matomo-opt-out');\n"
            . "  if (place) { place.textContent = 'You can opt out of being tracked.'; }\n});\n";
    }
}
