<?php

namespace Piwik\Plugins\SegmentEditor;

use Piwik\Access;
use Piwik\Db;

class API extends \Piwik\API
{
    public function add(string $name, string $definition): int
    {
        Access::getInstance()->checkAnySite('view');
        return Db::insert('segment', ['name' => $name, 'definition' => htmlspecialchars_decode($definition), 'login' => Access::getInstance()->login()]);
    }
}
