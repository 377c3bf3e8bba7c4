<?php

// What every entry point has in common. PIWIK_DOCUMENT_ROOT and
// PIWIK_INCLUDE_PATH are defined; PIWIK_USER_PATH, where config/ and tmp/ are,
// is so when the root bootstrap.php has moved it.

if (!defined('PIWIK_USER_PATH')) {
    define('PIWIK_USER_PATH', PIWIK_DOCUMENT_ROOT);
}
error_reporting(E_ALL);
if (defined('PIWIK_DISPLAY_ERRORS')) {
    ini_set('display_errors', PIWIK_DISPLAY_ERRORS);
}
date_default_timezone_set('UTC');

require_once PIWIK_INCLUDE_PATH . '/vendor/autoload.php';
