<?php

namespace Piwik;

/** Reports, counted from the log tables and kept in archive tables, one pair for each month. */
class Archive
{
    private int $site;
    private Period $period;
    private string $segment;

    public function __construct(int $site, Period $period, string $segment = '')
    {
        $this->site = $site;
        $this->period = $period;
        $this->segment = $segment;
    }

    /** @return Archive[] by label */
    public static function ask(int $site, string $period, string $date, string $segment = ''): array
    {
        Access::getInstance()->checkSite('view', $site);
        $timezone = Db::fetchOne('SELECT timezone FROM ' . Common::prefixTable('site') . ' WHERE idsite = ?', [$site]);
        return array_map(static fn(Period $one) => new self($site, $one, $segment), Period::parse($period, $date, $timezone));
    }

    public function visits(): array
    {
        return $this->kept()['visits'];
    }

    /** @return array[] rows of label, nb_visits, nb_hits and url */
    public function pages(): array
    {
        return $this->kept()['pages'];
    }

    /** The report kept; made anew when it may be older than the log, and a page view may start that. */
    private function kept(): array
    {
        $mayMake = PHP_SAPI === 'cli' || Config::value('General', 'enable_browser_archiving_triggering') || $this->period->kind === 'range';
        $report = $mayMake ? $this->make() : $this->load();
        return $report ?? ['visits' => self::metrics([]), 'pages' => []];
    }

    /** Counts, keeps and returns. */
    public function make(): array
    {
        $this->gather();
        $visit = Common::prefixTable('log_visit');
        $row = Db::fetchRow("SELECT COUNT(*) AS nb_visits, COUNT(DISTINCT v.idvisitor) AS nb_uniq_visitors, COUNT(DISTINCT v.user_id) AS nb_users, COALESCE(SUM(v.visit_total_actions), 0) AS nb_actions,
            COALESCE(SUM(v.visit_goal_converted), 0) AS nb_visits_converted, COALESCE(SUM(v.visit_total_actions = 1), 0) AS bounce_count, COALESCE(SUM(v.visit_total_time), 0) AS sum_visit_length,
            COALESCE(MAX(v.visit_total_actions), 0) AS max_actions FROM $visit v JOIN logtmpsegment t ON t.idvisit = v.idvisit");
        $pages = Db::fetchAll('SELECT a.name AS label, COUNT(DISTINCT l.idvisit) AS nb_visits, COUNT(*) AS nb_hits FROM ' . Common::prefixTable('log_link_visit_action') . ' l
            JOIN logtmpsegment t ON t.idvisit = l.idvisit JOIN ' . Common::prefixTable('log_action') . ' a ON a.idaction = l.idaction_url WHERE a.type = 1 GROUP BY a.name ORDER BY nb_hits DESC, a.name LIMIT 500');
        foreach ($pages as $i => $page) {
            $path = strstr($page['label'], '/');
            $pages[$i] = ['label' => $path === false ? '/index' : $path, 'nb_visits' => (int) $page['nb_visits'], 'nb_hits' => (int) $page['nb_hits'], 'url' => 'https://' . $page['label']];
        }
        $report = ['visits' => self::metrics($row), 'pages' => $pages];
        if ($this->period->kind !== 'range') {
            $this->save($report);
        }
        return $report;
    }

    /** Puts the visits of the period and segment into a temporary table. */
    private function gather(): void
    {
        [$from, $until] = $this->period->bounds();
        $conditions = ['idsite = ?', 'visit_last_action_time >= ?', 'visit_last_action_time < ?'];
        $values = [$this->site, $from, $until];
        foreach (array_filter(explode(';', htmlspecialchars_decode($this->segment))) as $part) {
            if (!preg_match('/^(userId|countryCode|visitConverted|actions)(==|!=|>=|<=|>|<)(.*)$/', $part, $match)) {
                throw new \Exception("The segment condition '" . Common::escape($part) . "' is not valid.");
            }
            $column = ['userId' => 'user_id', 'countryCode' => 'location_country', 'visitConverted' => 'visit_goal_converted', 'actions' => 'visit_total_actions'][$match[1]];
            $conditions[] = "$column " . ($match[2] === '==' ? '=' : $match[2]) . ' ?';
            $values[] = $match[3];
        }
        Db::exec('DROP TEMPORARY TABLE IF EXISTS logtmpsegment');
        Db::exec('CREATE TEMPORARY TABLE logtmpsegment (idvisit BIGINT UNSIGNED NOT NULL PRIMARY KEY)');
        Db::query('INSERT INTO logtmpsegment SELECT idvisit FROM ' . Common::prefixTable('log_visit') . ' WHERE ' . implode(' AND ', $conditions), $values);
    }

    private function save(array $report): void
    {
        $numbers = Db\Schema::createArchiveTable('numeric', $this->period->first->format('Y_m'));
        $blobs = Db\Schema::createArchiveTable('blob', $this->period->first->format('Y_m'));
        $archive = $this->nextNumber($numbers);
        $key = [$this->site, $this->period->first->format('Y-m-d'), $this->period->last->format('Y-m-d'), Period::NUMBERS[$this->period->kind]];
        foreach ([$numbers, $blobs] as $table) {
            Db::query("DELETE FROM $table WHERE idsite = ? AND date1 = ? AND date2 = ? AND period = ? AND name LIKE ?", array_merge($key, ['%' . $this->suffix()]));
        }
        $write = static fn(string $table, string $name, $value) => Db::query("INSERT INTO $table (idarchive, name, idsite, date1, date2, period, ts_archived, value) VALUES (?, ?, ?, ?, ?, ?, NOW(), ?)", array_merge([$archive, $name], $key, [$value]));
        foreach ($report['visits'] as $name => $value) {
            if (is_numeric($value)) {
                $write($numbers, $name . $this->suffix(), $value);
            }
        }
        $write($blobs, 'Actions_actions_url' . $this->suffix(), gzcompress(json_encode($report['pages'])));
        $write($numbers, 'done' . $this->suffix(), 1);
    }

    private function load(): ?array
    {
        $month = $this->period->first->format('Y_m');
        $values = array_merge([$this->site, $this->period->first->format('Y-m-d'), $this->period->last->format('Y-m-d'), Period::NUMBERS[$this->period->kind]]);
        $where = 'WHERE idsite = ? AND date1 = ? AND date2 = ? AND period = ?';
        $numbers = Db\Schema::createArchiveTable('numeric', $month);
        $blobs = Db\Schema::createArchiveTable('blob', $month);
        $row = [];
        foreach (Db::fetchAll("SELECT name, value FROM $numbers $where AND name LIKE ?", array_merge($values, ['%' . $this->suffix()])) as $number) {
            $row[substr($number['name'], 0, -strlen($this->suffix()))] = $number['value'];
        }
        $pages = Db::fetchOne("SELECT value FROM $blobs $where AND name = ?", array_merge($values, ['Actions_actions_url' . $this->suffix()]));
        return isset($row['done']) ? ['visits' => self::metrics($row), 'pages' => json_decode(gzuncompress($pages), true)] : null;
    }

    /** What the names of this segment's rows end with. */
    private function suffix(): string
    {
        return '.' . ($this->segment === '' ? 'all' : md5($this->segment));
    }

    private function nextNumber(string $table): int
    {
        Db::query('INSERT INTO ' . Common::prefixTable('sequence') . ' (name, value) VALUES (?, LAST_INSERT_ID(1)) ON DUPLICATE KEY UPDATE value = LAST_INSERT_ID(value + 1)', [$table]);
        return (int) Db::get()->lastInsertId() ?: 1;
    }

    private static function metrics(array $row): array
    {
        $names = ['nb_uniq_visitors', 'nb_users', 'nb_visits', 'nb_actions', 'nb_visits_converted', 'bounce_count', 'sum_visit_length', 'max_actions'];
        $metrics = [];
        foreach ($names as $name) {
            $metrics[$name] = (int) ($row[$name] ?? 0);
        }
        $visits = max(1, $metrics['nb_visits']);
        return $metrics + ['bounce_rate' => round(100 * $metrics['bounce_count'] / $visits) . '%', 'nb_actions_per_visit' => round($metrics['nb_actions'] / $visits, 1), 'avg_time_on_site' => intdiv($metrics['sum_visit_length'], $visits)];
    }
}
