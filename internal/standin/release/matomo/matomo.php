<?php

require __DIR__ . '/piwik.php';
