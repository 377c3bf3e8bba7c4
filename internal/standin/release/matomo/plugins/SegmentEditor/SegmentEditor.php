<?php

namespace Piwik\Plugins\SegmentEditor;

class SegmentEditor extends \Piwik\Plugin
{
    public function install(): void
    {
        \Piwik\DbHelper::createTable('segment', 'idsegment INT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(255) NOT NULL, definition TEXT NOT NULL, login VARCHAR(100) NOT NULL, deleted TINYINT NOT NULL DEFAULT 0');
    }
}
