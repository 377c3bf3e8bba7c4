<?php

namespace Piwik\Plugins\Live;

use Piwik\Common;
use Piwik\DataTable\Filter\SafeDecodeLabel;

/** The latest visits, with what each visitor did. */
class Controller
{
    public function getVisitorLog(): string
    {
        header('Content-Type: text/html; charset=utf-8');
        $html = '';
        foreach ((new API())->getLastVisitsDetails((int) Common::param('idSite')) as $visit) {
            $html .= '<h2>' . Common::escape($visit['visitIp']) . ' ' . SafeDecodeLabel::decodeLabelSafe((string) $visit['userId']) . "</h2>\n<ol>\n";
            foreach ($visit['actionDetails'] as $action) {
                $html .= '<li>' . SafeDecodeLabel::decodeLabelSafe((string) $action['pageTitle']) . ' <span>' . Common::escape($action['url']) . "</span></li>\n";
            }
            $html .= "</ol>\n";
        }
        return $html;
    }
}
