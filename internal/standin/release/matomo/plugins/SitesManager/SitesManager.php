<?php

namespace Piwik\Plugins\SitesManager;

class SitesManager extends \Piwik\Plugin
{
}
