<?php
// Written by rocca. Configuration and temporary files lie outside of the
// document root; each pool of PHP has its own.
$data = getenv('MATOMO_DATA');
define('PIWIK_USER_PATH', is_string($data) && $data !== '' ? $data : '/var/lib/matomo');
unset($data);
