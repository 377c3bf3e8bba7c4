<?php

namespace Piwik\Plugins\Live;

use Piwik\Access;
use Piwik\Common;
use Piwik\Db;

class API extends \Piwik\API
{
    public function getLastVisitsDetails(int $idSite, int $filter_limit = 10): array
    {
        Access::getInstance()->checkSite('view', $idSite);
        $visits = Db::fetchAll('SELECT idsite, idvisit, location_ip, HEX(idvisitor) AS visitor, user_id, visit_total_actions FROM ' . Common::prefixTable('log_visit') . '
            WHERE idsite = ? ORDER BY visit_last_action_time DESC LIMIT ' . max(1, min(500, $filter_limit)), [$idSite]);
        return array_map(static fn(array $visit) => [
            'idSite' => (int) $visit['idsite'], 'idVisit' => (int) $visit['idvisit'], 'visitIp' => inet_ntop($visit['location_ip']),
            'visitorId' => strtolower($visit['visitor']), 'userId' => $visit['user_id'], 'actions' => (int) $visit['visit_total_actions'],
            'actionDetails' => self::actions((int) $visit['idvisit']),
        ], $visits);
    }

    public function getCounters(int $idSite, int $lastMinutes): array
    {
        Access::getInstance()->checkSite('view', $idSite);
        $row = Db::fetchRow('SELECT COUNT(*) AS visits, COALESCE(SUM(visit_total_actions), 0) AS actions, COUNT(DISTINCT idvisitor) AS visitors, COALESCE(SUM(visit_goal_converted), 0) AS visitsConverted
            FROM ' . Common::prefixTable('log_visit') . ' WHERE idsite = ? AND visit_last_action_time > NOW() - INTERVAL ? MINUTE', [$idSite, $lastMinutes]);
        return [array_map('intval', $row)];
    }

    private static function actions(int $visit): array
    {
        return Db::fetchAll("SELECT 'action' AS type, CONCAT(ELT(COALESCE(u.url_prefix, 2) + 1, 'http://', 'http://www.', 'https://', 'https://www.'), u.name) AS url, n.name AS pageTitle
            FROM " . Common::prefixTable('log_link_visit_action') . ' l LEFT JOIN ' . Common::prefixTable('log_action') . ' u ON u.idaction = l.idaction_url
            LEFT JOIN ' . Common::prefixTable('log_action') . ' n ON n.idaction = l.idaction_name WHERE l.idvisit = ? ORDER BY l.idlink_va LIMIT 500', [$visit]);
    }
}
