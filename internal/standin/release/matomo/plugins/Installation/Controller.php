<?php

namespace Piwik\Plugins\Installation;

class Controller
{
    public function index(): string
    {
        header('Content-Type: text/html; charset=utf-8');
        return '<html><body>Error: Matomo is already installed. <a href="index.php">Go back to Matomo.</a></body></html>';
    }

    public function getEmptyPageForSystemCheck(): string
    {
        return 'Hello, world!';
    }
}
