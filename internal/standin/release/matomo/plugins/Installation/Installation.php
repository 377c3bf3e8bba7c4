<?php

namespace Piwik\Plugins\Installation;

class Installation extends \Piwik\Plugin
{
}
