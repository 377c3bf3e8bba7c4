<?php

namespace Piwik\Plugins\CoreUpdater;

class CoreUpdater extends \Piwik\Plugin
{
}
