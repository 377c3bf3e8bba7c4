<?php

namespace Piwik\Plugins\UsersManager;

class UsersManager extends \Piwik\Plugin
{
}
