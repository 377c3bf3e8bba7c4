<?php

namespace Piwik\Plugins\CorePluginsAdmin;

class CorePluginsAdmin extends \Piwik\Plugin
{
}
