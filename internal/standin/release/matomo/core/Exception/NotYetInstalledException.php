<?php

namespace Piwik\Exception;

class NotYetInstalledException extends \Exception
{
}
