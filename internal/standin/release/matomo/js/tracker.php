<?php

// Answers tracking requests, and the JavaScript tracker to everything else.
if ($_SERVER['REQUEST_METHOD'] === 'POST' || !empty($_SERVER['QUERY_STRING'])) {
    require dirname(__DIR__) . '/piwik.php';
    exit;
}

header('Content-Type: application/javascript; charset=UTF-8');
header('Cache-Control: public, must-revalidate');
readfile(dirname(__DIR__) . '/matomo.js');
