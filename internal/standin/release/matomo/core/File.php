<?php

namespace Piwik;

/** An answer of the API that is a file and not a value. */
class File
{
    public string $type;
    public string $content;

    public function __construct(string $type, string $content)
    {
        $this->type = $type;
        $this->content = $content;
    }
}
