<?php

namespace Piwik\Plugins\CustomDimensions;

class CustomDimensions extends \Piwik\Plugin
{
    public function install(): void
    {
        \Piwik\DbHelper::createTable('custom_dimensions', 'idcustomdimension BIGINT UNSIGNED NOT NULL, idsite BIGINT UNSIGNED NOT NULL, name VARCHAR(100) NOT NULL, scope VARCHAR(10) NOT NULL, active TINYINT UNSIGNED NOT NULL DEFAULT 0, PRIMARY KEY (idcustomdimension, idsite)');
    }
}
