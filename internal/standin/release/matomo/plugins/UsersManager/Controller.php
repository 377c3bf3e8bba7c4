<?php

namespace Piwik\Plugins\UsersManager;

use Piwik\Access;
use Piwik\Session;
use Piwik\View;

class Controller
{
    public function index(): string
    {
        Access::getInstance()->checkAnySite('admin');
        return View::render('UsersManager', 'index', ['users' => (new API())->getUsers()]);
    }

    public function userSettings(): string
    {
        Access::getInstance()->checkAnySite('view');
        return View::render('UsersManager', 'settings', ['login' => Access::getInstance()->login(), 'token' => Session::token()]);
    }

    public function userSecurity(): string
    {
        return $this->userSettings();
    }
}
