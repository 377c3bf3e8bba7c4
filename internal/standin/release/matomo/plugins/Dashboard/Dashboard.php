<?php

namespace Piwik\Plugins\Dashboard;

class Dashboard extends \Piwik\Plugin
{
    public function install(): void
    {
        \Piwik\DbHelper::createTable('user_dashboard', 'login VARCHAR(100) NOT NULL, iddashboard INT NOT NULL, name VARCHAR(100) NULL, layout TEXT NOT NULL, PRIMARY KEY (login, iddashboard)');
    }
}
