<?php

namespace Piwik\Plugins\LanguagesManager;

use Piwik\Access;
use Piwik\Common;
use Piwik\Db;

class API extends \Piwik\API
{
    public function getAvailableLanguages(): array
    {
        return array_map(static fn($file) => basename($file, '.json'), glob(PIWIK_INCLUDE_PATH . '/lang/*.json'));
    }

    /** @return string|false */
    public function getLanguageForUser(string $login)
    {
        $this->check($login);
        return Db::fetchOne('SELECT language FROM ' . Common::prefixTable('user_language') . ' WHERE login = ?', [$login]);
    }

    public function setLanguageForUser(string $login, string $languageCode): bool
    {
        $this->check($login);
        if (!in_array($languageCode, $this->getAvailableLanguages(), true)) {
            return false;
        }
        Db::query('REPLACE INTO ' . Common::prefixTable('user_language') . ' (login, language) VALUES (?, ?)', [$login, $languageCode]);
        return true;
    }

    private function check(string $login): void
    {
        if (Access::getInstance()->login() !== $login) {
            Access::getInstance()->checkSuperUser();
        }
    }
}
