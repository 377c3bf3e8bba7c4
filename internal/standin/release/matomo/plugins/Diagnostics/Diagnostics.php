<?php

namespace Piwik\Plugins\Diagnostics;

class Diagnostics extends \Piwik\Plugin
{
}
