<?php

namespace Piwik\Plugins\ScheduledReports;

class ScheduledReports extends \Piwik\Plugin
{
    public function install(): void
    {
        \Piwik\DbHelper::createTable('report', 'idreport INT NOT NULL AUTO_INCREMENT PRIMARY KEY, idsite INT NOT NULL, login VARCHAR(100) NOT NULL, description VARCHAR(255) NOT NULL, period VARCHAR(10) NOT NULL, format VARCHAR(10) NOT NULL, reports TEXT NOT NULL, deleted TINYINT NOT NULL DEFAULT 0');
        \Piwik\DbHelper::createTable('report_subscriptions', 'idreport INT NOT NULL, token VARCHAR(100) NULL, email VARCHAR(100) NOT NULL, ts_unsubscribed TIMESTAMP NULL, PRIMARY KEY (idreport, email)');
    }
}
