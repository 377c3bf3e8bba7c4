<?php

// Services and paths; an installation overrides them in config/config.php.
return [];
