<?php

namespace Piwik\Exception;

class NoAccessException extends \Exception
{
}
