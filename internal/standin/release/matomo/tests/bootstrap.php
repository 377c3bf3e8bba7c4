<?php

// Must not be reachable by the web.
echo "tests were executed\n";
