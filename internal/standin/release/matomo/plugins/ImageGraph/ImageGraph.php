<?php

namespace Piwik\Plugins\ImageGraph;

class ImageGraph extends \Piwik\Plugin
{
}
