<?php

namespace Piwik\Columns;

use Piwik\Common;
use Piwik\Db;

/** The columns that plugins add to the log tables. Their definition is their version. */
class Updater
{
    private const COLUMNS = [
        'log_visit' => [
            'user_id' => 'VARCHAR(200) NULL', 'visit_first_action_time' => 'DATETIME NULL', 'visit_total_actions' => 'INT UNSIGNED NOT NULL DEFAULT 0', 'visit_total_time' => 'INT UNSIGNED NOT NULL DEFAULT 0',
            'visit_entry_idaction_url' => 'INT UNSIGNED NULL', 'visit_exit_idaction_url' => 'INT UNSIGNED NULL', 'visit_goal_converted' => 'TINYINT NOT NULL DEFAULT 0', 'visitor_returning' => 'TINYINT NOT NULL DEFAULT 0',
            'location_browser_lang' => 'VARCHAR(20) NULL', 'location_country' => 'CHAR(3) NULL', 'config_resolution' => 'VARCHAR(18) NULL', 'config_browser_name' => 'VARCHAR(40) NULL', 'referer_url' => 'VARCHAR(1500) NULL',
        ],
        'log_link_visit_action' => [
            'server_time' => 'DATETIME NOT NULL', 'idaction_url' => 'INT UNSIGNED NULL', 'idaction_name' => 'INT UNSIGNED NULL', 'idaction_event_category' => 'INT UNSIGNED NULL',
            'idaction_event_action' => 'INT UNSIGNED NULL', 'idpageview' => 'CHAR(6) NULL', 'pageview_position' => 'INT UNSIGNED NULL',
        ],
        'log_conversion' => ['location_country' => 'CHAR(3) NULL', 'visitor_returning' => 'TINYINT NULL'],
    ];

    /** @return array<string, string> table.column => version */
    public function getAllVersions(\Piwik\Updater $updater): array
    {
        $versions = [];
        foreach (self::COLUMNS as $table => $columns) {
            foreach ($columns as $column => $definition) {
                $versions["$table.$column"] = $definition;
            }
        }
        return $versions;
    }

    /** Adds the columns named (table.column), one statement for each table. */
    public function add(array $columns): void
    {
        foreach (self::COLUMNS as $table => $definitions) {
            $add = [];
            foreach ($definitions as $column => $definition) {
                if (in_array("$table.$column", $columns, true)) {
                    $add[] = "ADD COLUMN IF NOT EXISTS `$column` $definition";
                }
            }
            if ($add !== []) {
                Db::exec('ALTER TABLE `' . Common::prefixTable($table) . '` ' . implode(', ', $add));
            }
        }
    }
}
