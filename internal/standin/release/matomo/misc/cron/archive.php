<?php

// Must not be reachable by the web.
echo "archive was executed\n";
