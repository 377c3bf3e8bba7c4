<?php

namespace Piwik\Plugins\UsersManager;

use Piwik\Access;
use Piwik\View;

class Controller
{
    public function index(): string
    {
        Access::getInstance()->checkAnySite('admin');
        return View::render('UsersManager', 'index', ['users' => (new API())->getUsers()]);
    }
}
