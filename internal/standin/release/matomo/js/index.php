<?php

require_once __DIR__ . '/tracker.php';
