<?php

namespace Piwik\Plugins\Installation;

/** What the installer says of a Matomo that is installed; FrontController shows it on any other. */
class Controller
{
    private const STEPS = ['welcome', 'systemCheck', 'databaseSetup', 'tablesCreation', 'reuseTables', 'setupSuperUser', 'firstWebsiteSetup', 'trackingCode', 'finished'];

    public function __call(string $step, array $arguments): string
    {
        if (!in_array($step, self::STEPS, true)) {
            throw new \Exception("The action '$step' of the plugin 'Installation' does not exist or is not enabled.");
        }
        return $this->index();
    }

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
