<?php

namespace Piwik\Plugins\Proxy;

use Piwik\View;

/** The merged style sheet and scripts. */
class Controller
{
    public function getCss(): string
    {
        return $this->asset('text/css', 'global_css.css', 'stylesheets/*.css');
    }

    public function getCoreJs(): string
    {
        return $this->asset('application/javascript', 'core_js.js', 'javascripts/*.js');
    }

    public function getNonCoreJs(): string
    {
        return $this->asset('application/javascript', 'non_core_js.js', 'javascripts/plugin/*.js');
    }

    private function asset(string $type, string $name, string $pattern): string
    {
        header('X-No-Frame-Rule: 1');
        header("Content-Type: $type; charset=UTF-8");
        header('Cache-Control: public, must-revalidate');
        return View::asset($name, $pattern);
    }
}
