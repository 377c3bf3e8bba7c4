<?php

namespace Piwik\Tracker;

use Piwik\Cache;
use Piwik\Common;
use Piwik\Config;
use Piwik\Db;
use Piwik\Exception\InvalidRequestException;
use Piwik\Option;
use Piwik\Plugins\PrivacyManager\Config as Privacy;

/** Writes one request: into a visit that goes on, or a new one. */
class Visit
{
    private const LENGTH = 1800; // seconds without action that end a visit
    private const BOTS = '/bot\b|crawl|spider|slurp|facebookexternalhit|bingpreview/i';
    private const PREFIXES = ['https://www.' => 3, 'http://www.' => 1, 'https://' => 2, 'http://' => 0];

    // Values of log_action.type.
    private const PAGE_URL = 1;
    private const OUTLINK = 2;
    private const DOWNLOAD = 3;
    private const PAGE_TITLE = 4;
    private const SEARCH = 8;
    private const EVENT_CATEGORY = 10;
    private const EVENT_ACTION = 11;

    private Request $request;

    public function __construct(Request $request)
    {
        $this->request = $request;
    }

    public function handle(): void
    {
        $request = $this->request;
        $site = $request->site();
        if ($request->get('rec') !== '1' || (preg_match(self::BOTS, $request->userAgent()) && $request->get('bots') === '')) {
            return;
        }
        $request->check();
        $time = $request->time();
        $address = $request->address();
        $goal = $request->get('idgoal');
        if ($goal !== '' && $goal !== '0' && !in_array($goal, array_map('strval', $site['goals']), true)) {
            throw new InvalidRequestException("idgoal $goal not found");
        }
        if ($time < $site['created']) {
            Db::query('UPDATE ' . Common::prefixTable('site') . ' SET ts_created = FROM_UNIXTIME(?) WHERE idsite = ?', [$time, $site['idsite']]);
        }

        $configId = substr(hash('sha256', implode('|', [$address, $request->userAgent(), $request->language(), $this->general()['fingerprint_salt']]), true), 0, 8);
        $visitor = $this->visitorId() ?? $configId;
        $visit = $request->get('new_visit') === '1' ? null : $this->recent((int) $site['idsite'], $visitor, $configId, $time);
        if ($visit === null) {
            $visit = $this->create((int) $site['idsite'], $visitor, $configId, $address, $time);
        }
        if ($goal !== '') {
            $this->convert((int) $site['idsite'], $visit, (int) $goal, $time);
        } elseif ($request->get('ping') !== '1') {
            $this->act((int) $site['idsite'], $visit, $time);
        }
        Db::query('UPDATE ' . Common::prefixTable('log_visit') . ' SET visit_last_action_time = GREATEST(visit_last_action_time, ?),
            visit_total_time = TIMESTAMPDIFF(SECOND, visit_first_action_time, visit_last_action_time) WHERE idvisit = ?', [self::utc($time), $visit['idvisit']]);
    }

    private function visitorId(): ?string
    {
        foreach (['cid', '_id'] as $name) {
            if (preg_match('/^[0-9a-f]{16}$/i', $this->request->get($name))) {
                return hex2bin($this->request->get($name));
            }
        }
        $user = (string) $this->userId();
        return $user === '' ? null : substr(sha1($user, true), 0, 8);
    }

    private function recent(int $site, string $visitor, string $configId, int $time): ?array
    {
        // With a forced visitor id or a user id only that one counts.
        $forced = $this->request->get('cid') !== '' || $this->request->get('uid') !== '';
        $same = $forced ? 'idvisitor = ?' : '(idvisitor = ? OR config_id = ?)';
        $values = $forced ? [$visitor] : [$visitor, $configId];
        return Db::fetchRow('SELECT idvisit, idvisitor FROM ' . Common::prefixTable('log_visit') . " WHERE idsite = ? AND $same
            AND visit_last_action_time BETWEEN ? AND ? ORDER BY visit_last_action_time DESC LIMIT 1", array_merge([$site], $values, [self::utc($time - self::LENGTH), self::utc($time + self::LENGTH)]));
    }

    private function create(int $site, string $visitor, string $configId, string $address, int $time): array
    {
        $request = $this->request;
        $known = Db::fetchOne('SELECT 1 FROM ' . Common::prefixTable('log_visit') . ' WHERE idsite = ? AND idvisitor = ? LIMIT 1', [$site, $visitor]);
        $general = $this->general();
        $id = Db::insert('log_visit', [
            'idsite' => $site, 'idvisitor' => $visitor, 'config_id' => $configId,
            'location_ip' => $general['mask'] ? self::mask($address, $general['mask_bytes']) : $address,
            'visit_first_action_time' => self::utc($time), 'visit_last_action_time' => self::utc($time),
            'user_id' => $this->userId(), 'visitor_returning' => $known ? 1 : 0,
            'location_browser_lang' => $request->language(), 'location_country' => strtolower(substr($request->get('country'), 0, 2)) ?: 'xx',
            'config_resolution' => substr($request->get('res'), 0, 18), 'config_browser_name' => substr($request->userAgent(), 0, 40), 'referer_url' => substr($general['referrer'] === '' ? $request->get('urlref') : strtok($request->get('urlref') . '?', '?'), 0, 1500),
        ]);
        return ['idvisit' => $id, 'idvisitor' => $visitor];
    }

    private function act(int $site, array $visit, int $time): void
    {
        $request = $this->request;
        $row = ['idsite' => $site, 'idvisitor' => $visit['idvisitor'], 'idvisit' => $visit['idvisit'], 'server_time' => self::utc($time), 'idpageview' => substr($request->get('pv_id'), 0, 6) ?: null];
        $targets = ['download' => self::DOWNLOAD, 'link' => self::OUTLINK];
        $title = $request->get('action_name');
        if ($request->get('e_c') !== '' && $request->get('e_a') !== '') {
            $row['idaction_event_category'] = $this->action($request->get('e_c'), self::EVENT_CATEGORY);
            $row['idaction_event_action'] = $this->action($request->get('e_a'), self::EVENT_ACTION);
            $row['idaction_url'] = $this->action($request->get('url'), self::PAGE_URL);
            $row['custom_float'] = is_numeric($request->get('e_v')) ? (float) $request->get('e_v') : null;
        } elseif ($request->get('search') !== '') {
            $row['idaction_name'] = $this->action($request->get('search'), self::SEARCH);
        } else {
            $row['idaction_url'] = $this->action($request->get('url'), self::PAGE_URL);
            $row['idaction_name'] = $title === '' ? null : $this->action($title, self::PAGE_TITLE);
            foreach ($targets as $name => $type) {
                if ($request->get($name) !== '') {
                    $row['idaction_url'] = $this->action($request->get($name), $type);
                }
            }
        }
        Db::insert('log_link_visit_action', $row);
        Db::query('UPDATE ' . Common::prefixTable('log_visit') . ' SET visit_total_actions = visit_total_actions + 1, visit_exit_idaction_url = ?,
            visit_entry_idaction_url = COALESCE(visit_entry_idaction_url, ?) WHERE idvisit = ?', [$row['idaction_url'] ?? null, $row['idaction_url'] ?? null, $visit['idvisit']]);
    }

    /** An order (goal 0 with ec_id) is accepted once. */
    private function convert(int $site, array $visit, int $goal, int $time): void
    {
        $order = $this->pseudonym($this->request->get('ec_id'), 'hide_orders');
        $items = json_decode($this->request->get('ec_items'), true) ?: [];
        try {
            Db::insert('log_conversion', ['idvisit' => $visit['idvisit'], 'idsite' => $site, 'idvisitor' => $visit['idvisitor'], 'server_time' => self::utc($time), 'idgoal' => $goal,
                'buster' => $order === null ? 0 : crc32($order), 'idorder' => $order, 'items' => count($items), 'url' => self::withoutExcluded($this->request->get('url')), 'revenue' => (float) $this->request->get('revenue')]);
        } catch (\PDOException $problem) {
            if ($problem->getCode() !== '23000') {
                throw $problem;
            }
            if ($order !== null) {
                throw new InvalidRequestException("order $order is already recorded");
            }
            return; // the goal counts once for each visit
        }
        foreach ($items as $item) {
            Db::insert('log_conversion_item', ['idsite' => $site, 'idvisitor' => $visit['idvisitor'], 'server_time' => self::utc($time), 'idvisit' => $visit['idvisit'], 'idorder' => (string) $order,
                'idaction_sku' => $this->action((string) ($item[0] ?? ''), 5), 'price' => (float) ($item[3] ?? 0), 'quantity' => (int) ($item[4] ?? 1)]);
        }
        Db::query('UPDATE ' . Common::prefixTable('log_visit') . ' SET visit_goal_converted = 1 WHERE idvisit = ?', [$visit['idvisit']]);
    }

    /** The number of a name in log_action, which holds each once. */
    private function action(string $name, int $type): int
    {
        $prefix = null;
        if (in_array($type, [self::PAGE_URL, self::DOWNLOAD, self::OUTLINK], true)) {
            $name = self::withoutExcluded($name);
        }
        foreach (self::PREFIXES as $start => $number) {
            if ($type === self::PAGE_URL && stripos($name, $start) === 0) {
                $name = substr($name, strlen($start));
                $prefix = $number;
                break;
            }
        }
        $name = mb_substr($name, 0, 1024);
        $table = Common::prefixTable('log_action');
        $find = "SELECT MIN(idaction) FROM $table WHERE type = ? AND hash = ? AND name = ?";
        $id = Db::fetchOne($find, [$type, crc32($name), $name]);
        if ($id) {
            return (int) $id;
        }
        $new = Db::insert('log_action', ['name' => $name, 'hash' => crc32($name), 'type' => $type, 'url_prefix' => $prefix]);
        $first = (int) Db::fetchOne($find, [$type, crc32($name), $name]);
        if ($first !== $new) { // another request was faster
            Db::query("DELETE FROM $table WHERE idaction = ?", [$new]);
        }
        return $first;
    }

    /** An address of a page without the parameters that the configuration excludes. */
    private static function withoutExcluded(string $url): string
    {
        [$page, $query] = explode('?', $url, 2) + [1 => ''];
        $excluded = array_map('trim', explode(',', strtolower((string) Config::value('Tracker', 'url_query_parameter_to_exclude_from_url'))));
        $kept = array_filter(explode('&', $query), static fn(string $one) => $one !== '' && !in_array(strtolower(urldecode(strtok($one, '='))), $excluded, true));
        return $kept === [] ? $page : $page . '?' . implode('&', $kept);
    }

    private function userId(): ?string
    {
        return $this->pseudonym($this->request->get('uid'), 'hide_users');
    }

    /** What is stored of a name, or null when there is none. */
    private function pseudonym(string $name, string $setting): ?string
    {
        $general = $this->general();
        return $name === '' ? null : ($general[$setting] ? sha1($name . $general['user_salt']) : $name);
    }

    /** Settings that each request needs, from a cache of five minutes. */
    private function general(): array
    {
        return Cache::remember('general', 300, static function (): array {
            $privacy = new Privacy();
            return ['hide_users' => $privacy->anonymizeUserId, 'hide_orders' => $privacy->anonymizeOrderId, 'referrer' => $privacy->anonymizeReferrer, 'user_salt' => self::salt('useridsalt', 20),
                'mask' => $privacy->ipAnonymizerEnabled, 'mask_bytes' => $privacy->ipAddressMaskLength, 'fingerprint_salt' => self::salt('fingerprint_salt_0', 16),
                'settings' => Db::fetchAll('SELECT plugin_name, setting_name, setting_value FROM ' . Common::prefixTable('plugin_setting') . " WHERE user_login = ''")];
        });
    }

    /** Random text that the first visit makes, and all later ones share. */
    private static function salt(string $option, int $bytes): string
    {
        $salt = Option::get($option);
        if ($salt === false) {
            $salt = bin2hex(random_bytes($bytes));
            Option::set($option, $salt);
        }
        return $salt;
    }

    /** Zeroes the last bytes: 0 to 4 of IPv4; 0, 8, 10, 13 or 16 of IPv6. */
    private static function mask(string $address, int $bytes): string
    {
        $drop = strlen($address) === 4 ? $bytes : [0, 8, 10, 13, 16][$bytes];
        return substr($address, 0, strlen($address) - $drop) . str_repeat("\0", $drop);
    }

    private static function utc(int $time): string
    {
        return gmdate('Y-m-d H:i:s', $time);
    }
}
