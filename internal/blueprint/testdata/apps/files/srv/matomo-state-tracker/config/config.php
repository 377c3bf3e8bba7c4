<?php
// Written by rocca.
return ['path.geoip2' => '/srv/matomo-state/geoip/'];
