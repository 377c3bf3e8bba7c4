<?php

use Piwik\FrontController;

(new FrontController())->run();
