<?php

namespace Piwik\Plugins\Morpheus;

class Morpheus extends \Piwik\Plugin
{
}
