<?php

namespace Piwik\Plugins\LanguagesManager;

class LanguagesManager extends \Piwik\Plugin
{
    public function install(): void
    {
        \Piwik\DbHelper::createTable('user_language', 'login VARCHAR(100) NOT NULL PRIMARY KEY, language VARCHAR(10) NOT NULL, use_12_hour_clock TINYINT NOT NULL DEFAULT 0');
    }
}
