<?php

namespace Piwik\Plugins\CoreConsole;

class CoreConsole extends \Piwik\Plugin
{
}
