<?php

use Piwik\Application\Environment;
use Piwik\Exception\NotYetInstalledException;
use Piwik\Tracker;

ignore_user_abort(true);

if (!defined('PIWIK_DOCUMENT_ROOT')) {
    define('PIWIK_DOCUMENT_ROOT', __DIR__);
}
if (is_file(PIWIK_DOCUMENT_ROOT . '/bootstrap.php')) {
    require_once PIWIK_DOCUMENT_ROOT . '/bootstrap.php';
}
if (!defined('PIWIK_INCLUDE_PATH')) {
    define('PIWIK_INCLUDE_PATH', PIWIK_DOCUMENT_ROOT);
}
require_once PIWIK_INCLUDE_PATH . '/core/bootstrap.php';

try {
    (new Environment('tracker'))->init();
} catch (NotYetInstalledException $notYet) {
    die($notYet->getMessage());
}

try {
    (new Tracker())->main();
} catch (Exception $problem) {
    echo 'Error:' . $problem->getMessage();
    exit(1);
}
