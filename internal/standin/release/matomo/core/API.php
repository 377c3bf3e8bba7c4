<?php

namespace Piwik;

/** The public methods of a plugin's API class can be called as PLUGIN.METHOD. */
abstract class API
{
    /** @return static */
    public static function getInstance()
    {
        return new static();
    }
}
