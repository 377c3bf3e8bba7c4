<?php

// Statements that take a database from before this version to it.
return [
    'ALTER TABLE `' . \Piwik\Common::prefixTable('archive_invalidations') . '` ADD COLUMN IF NOT EXISTS processing_host VARCHAR(100) NULL, ADD COLUMN IF NOT EXISTS process_id VARCHAR(15) NULL',
];
