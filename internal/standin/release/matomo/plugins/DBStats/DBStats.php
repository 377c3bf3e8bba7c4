<?php

namespace Piwik\Plugins\DBStats;

class DBStats extends \Piwik\Plugin
{
}
