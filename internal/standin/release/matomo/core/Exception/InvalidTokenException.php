<?php

namespace Piwik\Exception;

class InvalidTokenException extends NoAccessException
{
}
