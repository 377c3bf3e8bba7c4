<?php

namespace Twig;

/** What compiled templates extend. */
abstract class Template
{
    abstract protected function doDisplay(array $context);

    public function render(array $context): string
    {
        ob_start();
        $this->doDisplay($context);
        return ob_get_clean();
    }
}
