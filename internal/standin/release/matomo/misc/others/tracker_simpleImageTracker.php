<?php

// Must not be reachable by the web.
echo "tracker_simpleImageTracker was executed\n";
