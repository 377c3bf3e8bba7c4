<?php
// Written by rocca.
return ['path.geoip2' => '/var/lib/matomo/geoip/'];
