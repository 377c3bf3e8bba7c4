<?php return array(
    'root' => array('name' => 'standin/matomo', 'pretty_version' => '5.3.0', 'version' => '5.3.0.0', 'dev' => false),
    'versions' => array(),
);
