<?php

namespace Piwik\Plugins\Actions;

class Actions extends \Piwik\Plugin
{
}
