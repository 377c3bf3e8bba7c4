<?php

namespace Piwik\Plugins\Login;

class Login extends \Piwik\Plugin
{
}
