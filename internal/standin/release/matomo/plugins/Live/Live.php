<?php

namespace Piwik\Plugins\Live;

class Live extends \Piwik\Plugin
{
}
