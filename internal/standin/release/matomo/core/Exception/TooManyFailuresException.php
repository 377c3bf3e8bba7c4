<?php

namespace Piwik\Exception;

class TooManyFailuresException extends \Exception
{
}
