<?php

namespace Piwik\Plugins\TagManager;

class TagManager extends \Piwik\Plugin
{
}
