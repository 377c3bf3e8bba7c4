<?php

namespace Piwik;

use Piwik\Exception\NoAccessException;
use Piwik\Exception\TooManyFailuresException;
use ReflectionMethod;
use Throwable;

/** One call of the API: index.php?module=API&method=PLUGIN.METHOD&format=json. */
class ApiRequest
{
    public function answer(): void
    {
        self::letOthersRead();
        try {
            $this->authenticate();
            $this->printValue($this->call((string) Common::param('method')));
        } catch (TooManyFailuresException $problem) {
            http_response_code(500);
            self::printError($problem->getMessage());
        } catch (NoAccessException $problem) {
            http_response_code(401);
            self::printError($problem->getMessage());
        } catch (Throwable $problem) {
            self::printError($problem->getMessage());
        }
    }

    /** Tells browsers which other sites' scripts may read the answer. */
    public static function letOthersRead(): void
    {
        $sites = (array) Config::value('General', 'cors_domains', []);
        $origin = $_SERVER['HTTP_ORIGIN'] ?? '';
        if (in_array('*', $sites, true) || ($origin !== '' && in_array($origin, $sites, true))) {
            header('Access-Control-Allow-Credentials: true');
            header('Access-Control-Allow-Origin: ' . ($origin === '' ? '*' : $origin));
        }
    }

    /** @param string[] $urls queries of calls
     *  @return array their answers, in this order */
    public function callAll(array $urls): array
    {
        $own = [$_GET, $_POST];
        $answers = [];
        foreach ($urls as $url) {
            parse_str($url, $_GET);
            $_POST = [];
            try {
                $answers[] = self::document($this->call((string) Common::param('method')));
            } catch (Throwable $problem) {
                $answers[] = ['result' => 'error', 'message' => $problem->getMessage()];
            }
        }
        [$_GET, $_POST] = $own;
        http_response_code(200);
        return $answers;
    }

    /** Becomes the user whose token this request has, or whose session has it. */
    public function authenticate(): void
    {
        $token = Common::param('token_auth');
        if (isset($_POST['force_api_session'])) {
            Session::start();
            if (hash_equals(Session::token(), (string) $token)) {
                Session::authenticate();
                return;
            }
        }
        $sentSecurely = !isset($_GET['token_auth']);
        $user = (new Plugins\UsersManager\Model())->getUser('anonymous');
        if ($token !== null && $token !== '' && $token !== 'anonymous') {
            $user = Auth::byToken($token, $sentSecurely);
        }
        if ($user === null) {
            Auth::recordFailure();
            throw new NoAccessException('Unable to authenticate with the provided token. It is either invalid' . ($sentSecurely ? ' or expired.' : ', expired or is required to be sent as a POST parameter.'));
        }
        Access::getInstance()->become($user);
    }

    private function call(string $method)
    {
        if ($method === '') {
            throw new \Exception("The parameter 'method' isn't set in the Request, and a default value wasn't provided.");
        }
        [$plugin, $name] = explode('.', $method, 2) + ['', ''];
        $class = "Piwik\\Plugins\\$plugin\\API";
        if (!preg_match('/^\w+$/', $plugin) || !Plugin\Manager::getInstance()->isPluginActivated($plugin) || !class_exists($class)) {
            throw new \Exception("The plugin $plugin is not enabled. You can activate the plugin on Settings > Plugins page in Matomo.");
        }
        if (!method_exists($class, $name) || !(new ReflectionMethod($class, $name))->isPublic() || $name === 'getInstance') {
            http_response_code(400);
            throw new \Exception("The method '$name' does not exist or is not available in the module '\\$class'.");
        }
        return (new $class())->$name(...$this->arguments(new ReflectionMethod($class, $name)));
    }

    private function arguments(ReflectionMethod $method): array
    {
        $given = $_GET + $_POST;
        $arguments = [];
        foreach ($method->getParameters() as $parameter) {
            $name = $parameter->getName();
            if (isset($given[$name])) {
                $type = $parameter->getType() === null ? '' : $parameter->getType()->getName();
                $arguments[] = $type === 'int' ? (int) $given[$name] : ($type === 'string' && is_string($given[$name]) ? Common::escape($given[$name]) : $given[$name]);
            } elseif ($parameter->isDefaultValueAvailable()) {
                $arguments[] = $parameter->getDefaultValue();
            } else {
                throw new \Exception("Please specify a value for '$name'.");
            }
        }
        return $arguments;
    }

    private function printValue($value): void
    {
        if ($value instanceof File) {
            header("Content-Type: $value->type");
            echo $value->content;
        } else {
            self::printDocument(self::document($value));
        }
    }

    private static function document($value): array
    {
        if ($value === null || $value === true) {
            return ['result' => 'success', 'message' => 'ok'];
        }
        return is_array($value) ? $value : ['value' => $value];
    }

    public static function printError(string $message): void
    {
        self::printDocument(['result' => 'error', 'message' => $message]);
    }

    private static function printDocument(array $document): void
    {
        if (Common::param('format') === 'json') {
            header('Content-Type: application/json; charset=utf-8');
            echo json_encode($document, JSON_INVALID_UTF8_SUBSTITUTE);
            return;
        }
        header('Content-Type: text/xml; charset=utf-8');
        if (isset($document['message'])) {
            $tag = $document['result'] === 'error' ? 'error' : 'success';
            $body = "<result>\n\t<$tag message=\"" . Common::escape($document['message']) . "\" />\n</result>";
        } else {
            $body = '<result>' . (count($document) === 1 && isset($document['value']) ? Common::escape($document['value']) : "\n" . self::xml($document)) . '</result>';
        }
        echo '<?xml version="1.0" encoding="utf-8" ?>' . "\n$body";
    }

    private static function xml(array $values): string
    {
        $text = '';
        foreach ($values as $name => $value) {
            $tag = is_int($name) ? 'row' : preg_replace('/[^\w-]/', '_', $name);
            $text .= "\t<$tag>" . (is_array($value) ? "\n" . self::xml($value) : Common::escape($value)) . "</$tag>\n";
        }
        return $text;
    }
}
