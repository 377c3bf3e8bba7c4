<?php

namespace Piwik\Plugins\Login;

use Piwik\Auth;
use Piwik\Common;
use Piwik\Config;
use Piwik\Session;
use Piwik\View;

class Controller
{
    public function index(): string
    {
        $error = '';
        if (isset($_POST['form_login'], $_POST['form_password'])) {
            $error = $this->signIn();
        }
        return View::render('Login', 'login', ['nonce' => Session::nonce(), 'error' => $error, 'url' => Common::url('')]);
    }

    public function login(): string
    {
        return $this->index();
    }

    /** Signs in by a link; off unless the configuration says so. */
    public function logme(): string
    {
        if (!Config::value('General', 'login_allow_logme')) {
            throw new \Exception('This functionality has been disabled in config');
        }
        $user = Auth::byPasswordHash((string) Common::param('login'), (string) Common::param('password'));
        if ($user === null || $user['superuser_access']) {
            http_response_code(403);
            return $this->index();
        }
        Session::signIn($user);
        header('Location: ' . Common::url('index.php'), true, 302);
        return '';
    }

    public function logout(): string
    {
        Session::signOut();
        header('Location: index.php?module=CoreHome&action=', true, 302);
        return '';
    }

    public function resetPassword(): string
    {
        return View::render('Login', 'reset', []);
    }

    /** Ends the request when it succeeds; otherwise what was wrong. */
    private function signIn(): string
    {
        http_response_code(403);
        if (!Session::checkNonce(Common::param('form_nonce'))) {
            return 'The security token is not valid. Please go back, reload the page and try again.';
        }
        $user = Auth::byPassword((string) Common::param('form_login'), (string) Common::param('form_password'));
        if ($user === null) {
            return 'Wrong username and/or password.';
        }
        Session::signIn($user);
        header('Location: ' . Common::url('index.php'), true, 302);
        session_write_close();
        exit;
    }
}
