<?php

namespace Piwik\Exception;

class InvalidRequestException extends \Exception
{
}
