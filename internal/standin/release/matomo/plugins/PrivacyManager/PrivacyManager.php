<?php

namespace Piwik\Plugins\PrivacyManager;

class PrivacyManager extends \Piwik\Plugin
{
    public function install(): void
    {
        \Piwik\DbHelper::createTable('privacy_logdata_anonymizations', 'idlogdata_anonymization BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, idsites TEXT NULL, requester VARCHAR(100) NOT NULL');
    }
}
