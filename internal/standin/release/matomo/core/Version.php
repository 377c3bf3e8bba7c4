<?php

namespace Piwik;

/** The version of this release. */
final class Version
{
    public const VERSION = '5.3.0-standin';
}
