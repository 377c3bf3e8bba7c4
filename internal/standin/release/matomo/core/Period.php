<?php

namespace Piwik;

use DateTimeImmutable;
use DateTimeZone;

/** A day, week, month, year or range in the time zone of a site. */
class Period
{
    public const NUMBERS = ['day' => 1, 'week' => 2, 'month' => 3, 'year' => 4, 'range' => 5];

    public string $kind;
    public DateTimeImmutable $first;
    public DateTimeImmutable $last;

    private function __construct(string $kind, DateTimeImmutable $first, DateTimeImmutable $last)
    {
        $this->kind = $kind;
        $this->first = $first;
        $this->last = $last;
    }

    /**
     * @param string $date YYYY-MM-DD, today, yesterday, lastN, previousN, or two dates with a comma
     * @return Period[] by label: one, or several for lastN and pairs of dates
     */
    public static function parse(string $kind, string $date, string $timezone): array
    {
        if (!isset(self::NUMBERS[$kind])) {
            throw new \Exception("The period '$kind' is not supported. Try any of the following instead: day, week, month, year, range");
        }
        $zone = new DateTimeZone($timezone);
        $today = new DateTimeImmutable('today', $zone);
        if (preg_match('/^(last|previous)(\d{1,3})$/', $date, $match)) {
            $unit = $kind === 'range' ? 'day' : $kind;
            $end = $match[1] === 'last' ? $today : $today->modify("-1 $unit");
            $start = $end->modify('-' . ($match[2] - 1) . " $unit");
        } elseif (strpos($date, ',') !== false) {
            [$start, $end] = array_map(static fn($text) => self::day($text, $today), explode(',', $date, 2));
        } else {
            $end = $start = self::day($date, $today);
            return [$start->format('Y-m-d') => self::around($kind, $start)];
        }
        if ($kind === 'range') {
            return [$start->format('Y-m-d') . ',' . $end->format('Y-m-d') => new self('range', $start, $end)];
        }
        $periods = [];
        for ($day = $start; $day <= $end && count($periods) < 400; $day = $day->modify("+1 $kind")) {
            $period = self::around($kind, $day);
            $periods[$period->first->format('Y-m-d')] = $period;
        }
        return $periods;
    }

    public static function around(string $kind, DateTimeImmutable $day): self
    {
        switch ($kind) {
            case 'week':
                return new self($kind, $day->modify('monday this week'), $day->modify('sunday this week'));
            case 'month':
                return new self($kind, $day->modify('first day of this month'), $day->modify('last day of this month'));
            case 'year':
                return new self($kind, $day->modify('first day of january this year'), $day->modify('last day of december this year'));
            default:
                return new self($kind, $day, $day);
        }
    }

    /** @return string[] first and one past the last second, UTC */
    public function bounds(): array
    {
        $utc = new DateTimeZone('UTC');
        return [$this->first->setTimezone($utc)->format('Y-m-d H:i:s'), $this->last->modify('+1 day')->setTimezone($utc)->format('Y-m-d H:i:s')];
    }

    private static function day(string $text, DateTimeImmutable $today): DateTimeImmutable
    {
        if (!preg_match('/^(today|yesterday|now|\d{4}-\d{2}-\d{2})$/', $text)) {
            throw new \Exception("Date format must be: YYYY-MM-DD, or 'today' or 'yesterday', got '" . Common::escape($text) . "'.");
        }
        return new DateTimeImmutable($text === 'now' ? 'today' : $text, $today->getTimezone());
    }
}
