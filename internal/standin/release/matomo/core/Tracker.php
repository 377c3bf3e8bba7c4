<?php

namespace Piwik;

use Exception;
use Piwik\Exception\InvalidRequestException;
use Piwik\Tracker\Request;
use Piwik\Tracker\Visit;

/** Answers matomo.php: one request in the query or form, or many as JSON in the body. */
class Tracker
{
    private const GIF = 'R0lGODlhAQABAIAAAAAAAAAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==';
    private const PAGE = "This resource is part of Matomo. This file is the endpoint for the Matomo tracking API. If you want to access the Matomo UI or use the Reporting API, please use <a href='index.php'>index.php</a> instead.\n";

    private int $tracked = 0;
    /** @var int[] positions of refused requests */
    private array $invalid = [];
    private bool $authenticated = false;

    public function main(): void
    {
        if ($this->method() === 'OPTIONS' && isset($_SERVER['HTTP_ACCESS_CONTROL_REQUEST_METHOD'])) {
            header('Access-Control-Allow-Methods: GET, POST');
            header('Access-Control-Allow-Headers: *');
            header('Access-Control-Allow-Origin: *');
            http_response_code(204);
            return;
        }
        $body = (string) file_get_contents('php://input');
        if (preg_match('/.["\']requests["\']/s', $body)) {
            $this->bulk($body);
        } else {
            $this->single();
        }
        if ($this->method() !== 'GET') {
            header('Access-Control-Allow-Origin: ' . ($_SERVER['HTTP_ORIGIN'] ?? '*'));
            header('Access-Control-Allow-Credentials: true');
        }
    }

    private function single(): void
    {
        $parameters = $_GET + $_POST;
        $answered = false;
        if ($parameters !== [] && $this->recording()) {
            try {
                $this->track(new Request($parameters, (string) Common::param('token_auth'), !isset($_GET['token_auth'])));
            } catch (Exception $problem) {
                self::log($problem);
                $answered = $this->pixel();
            }
        }
        if (!$this->recording()) {
            http_response_code(503);
            $this->pixel();
        } elseif ($this->tracked > 0) {
            $this->pixel();
        } elseif (http_response_code() !== 500 || $answered) {
            if ($this->method() !== 'GET' || $parameters !== []) {
                http_response_code(400);
            }
            echo self::PAGE;
        }
    }

    /** Prints the pixel, or nothing when the request wants none. Tells whether it printed. */
    private function pixel(): bool
    {
        if ($this->method() === 'GET') {
            header('Cache-Control: no-store');
        }
        if (Common::param('send_image') === '0') {
            http_response_code(204);
            return false;
        }
        header('Content-Type: image/gif');
        echo base64_decode(self::GIF);
        return true;
    }

    private function bulk(string $body): void
    {
        header('Content-Type: application/json');
        $document = json_decode(trim($body), true);
        $token = is_string($document['token_auth'] ?? null) ? $document['token_auth'] : '';
        $requests = is_array($document['requests'] ?? null) ? $document['requests'] : [];
        $transaction = false;
        try {
            if ($this->recording() && $requests !== []) {
                $transaction = Config::value('Tracker', 'bulk_requests_use_transaction') && Db::get()->beginTransaction();
                $user = $token === '' ? null : Auth::byToken($token, false);
                $this->authenticated = $user !== null && $user['superuser_access'];
                $this->trackAll($requests, $token);
                if ($transaction) {
                    Db::get()->commit();
                }
            }
        } catch (Exception $problem) {
            self::log($problem);
            if ($transaction) {
                Db::get()->rollBack();
            }
            http_response_code(500);
            echo $this->summary('error');
            return;
        }
        if ((string) ($document['send_image'] ?? '1') === '0') {
            http_response_code(204);
            return;
        }
        echo $this->summary('success');
    }

    private function trackAll(array $items, string $token): void
    {
        $requests = [];
        foreach ($items as $item) {
            if (is_array($item)) {
                $requests[] = new Request($item, $token, false);
            } elseif (is_string($item)) {
                $query = parse_url($item, PHP_URL_QUERY);
                if ($query) {
                    parse_str($query, $parameters);
                    $requests[] = new Request($parameters, $token, false);
                }
            } else {
                $requests[] = null; // counts, but there is nothing in it
            }
        }
        foreach ($requests as $position => $request) {
            try {
                $this->track($request);
            } catch (InvalidRequestException $refused) {
                $this->invalid[] = $position;
            }
        }
    }

    /** A request that is valid but leaves no row (a bot, no rec=1) counts as tracked. */
    private function track(?Request $request): void
    {
        if ($request !== null) {
            (new Visit($request))->handle();
        }
        $this->tracked++;
    }

    private function summary(string $status): string
    {
        $summary = ['status' => $status, 'tracked' => $this->tracked, 'invalid' => count($this->invalid)];
        if ($this->authenticated) {
            $summary['invalid_indices'] = $this->invalid;
        }
        return json_encode($summary);
    }

    private function recording(): bool
    {
        return (bool) Config::value('Tracker', 'record_statistics');
    }

    private function method(): string
    {
        return $_SERVER['REQUEST_METHOD'] ?? 'GET';
    }

    private static function log(Exception $problem): void
    {
        $host = preg_replace('/[^a-z0-9.:-]/i', '', $_SERVER['HTTP_HOST'] ?? '') ?: '-';
        error_log("[$host] Error in Matomo (tracker): " . str_replace("\n", ' ', $problem->getMessage()));
    }
}
