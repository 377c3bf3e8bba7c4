<?php

namespace Piwik\Plugins\BulkTracking;

class BulkTracking extends \Piwik\Plugin
{
}
