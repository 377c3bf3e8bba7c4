<?php

namespace Piwik\Plugins\Proxy;

class Proxy extends \Piwik\Plugin
{
}
