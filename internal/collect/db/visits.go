package db

import (
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"rocca/internal/facts"
)

// Of a table with more rows than wholeLimit, a sample is read: the newest rows,
// and ranges that lie evenly over the rest, so that two runs see the same.
const (
	wholeLimit  = 100_000
	newestRows  = 5000
	ranges      = 40
	rangeLength = 250
)

// sample makes a query for a table, whole when that is small. It tells in
// Partial, under each topic, that only a sample was read.
func (r *reader) sample(table, key, columns string, topics ...string) (string, error) {
	if r.sizes[table] <= wholeLimit {
		return "SELECT " + columns + " FROM " + r.table(table), nil
	}
	var first, last int64
	answered, err := r.ask(topics[0], fmt.Sprintf("SELECT MIN(%[1]s), MAX(%[1]s) FROM %[2]s", key, r.table(table)), func(v []sql.NullString) { first, last = number(v[0]), number(v[1]) })
	if err != nil || !answered {
		return "", err
	}
	parts := []string{r.newest(table, key, columns)}
	// The last range ends where the newest rows begin, as far as keys tell.
	step := max(1, (last-newestRows-first)/ranges)
	for i := range int64(ranges) {
		from := first + i*step
		parts = append(parts, fmt.Sprintf("(SELECT %[1]s FROM %[2]s WHERE %[3]s BETWEEN %[4]d AND %[5]d ORDER BY %[3]s LIMIT %[6]d)", columns, r.table(table), key, from, min(from+step-1, last-newestRows), rangeLength))
	}
	for _, topic := range topics {
		r.rows.Partial[topic] = fmt.Sprintf("a sample of %d of about %d rows", newestRows+ranges*rangeLength, r.sizes[table])
	}
	return strings.Join(parts, " UNION ALL "), nil
}

func (r *reader) newest(table, key, columns string) string {
	return fmt.Sprintf("(SELECT %s FROM %s ORDER BY %s DESC LIMIT %d)", columns, r.table(table), key, newestRows)
}

// unmasked is SQL that is 1 when a stored address has bytes that a mask of so
// many bytes would have made zero. Matomo's masks for IPv6 leave 8, 6, 3 and no
// bytes (vendor/matomo/network); an IPv4 address written as IPv6 is masked as
// IPv4.
func unmasked(column string, bytes int) string {
	bytes = max(1, min(4, bytes))
	v4 := fmt.Sprintf("RIGHT(%s, %d) <> REPEAT(CHAR(0 USING binary), %[2]d)", column, bytes)
	left := []int{8, 10, 13, 16}[bytes-1]
	v6 := fmt.Sprintf("RIGHT(%s, %d) <> REPEAT(CHAR(0 USING binary), %[2]d)", column, left)
	return fmt.Sprintf("CASE WHEN LENGTH(%[1]s) = 4 OR LEFT(%[1]s, 12) = X'00000000000000000000FFFF' THEN %[2]s ELSE %[3]s END", column, v4, v6)
}

// maskLength is how many bytes Matomo is set to mask; 2, its default, when it
// is set to mask none.
func maskLength(options map[string]string) int {
	length, err := strconv.Atoi(options["PrivacyManager.ipAddressMaskLength"])
	if err != nil || length < 1 {
		return 2
	}
	return min(length, 4)
}

// hashed is the shape of what Matomo makes of an identifier: SHA-1 in hex.
const hashed = "'^[0-9a-f]{40}$'"

// readVisits measures what is stored of visits.
func (r *reader) readVisits() error {
	if !r.tables["log_visit"] {
		return nil
	}
	// Of each site the index knows the first visit.
	if _, err := r.ask("oldest", "SELECT idsite, MIN(visit_last_action_time) FROM "+r.table("log_visit")+" GROUP BY idsite", func(v []sql.NullString) {
		if at := moment(v[1].String); !at.IsZero() && (r.rows.Oldest.IsZero() || at.Before(r.rows.Oldest)) {
			r.rows.Oldest = at
		}
	}); err != nil {
		return err
	}
	visits, err := r.sample("log_visit", "idvisit", "LEFT(visit_last_action_time, 7) AS month, location_ip, NULLIF(user_id, '') AS user_id, config_resolution, location_browser_lang", "months", "user_ids")
	if err != nil || visits == "" {
		return err
	}
	resolutions, languages, ids := int64(0), int64(0), int64(0)
	answered, err := r.ask("months", "SELECT month, COUNT(*), SUM("+unmasked("location_ip", maskLength(r.rows.Options))+"), SUM(LENGTH(location_ip) = 16), COUNT(user_id), COALESCE(SUM(user_id NOT REGEXP "+hashed+"), 0),"+
		" SUM(COALESCE(config_resolution, '') NOT IN ('', 'unknown')), SUM(COALESCE(location_browser_lang, '') NOT IN ('', 'xx')) FROM ("+visits+") visits GROUP BY month ORDER BY month", func(v []sql.NullString) {
		r.rows.Months = append(r.rows.Months, facts.Month{Month: v[0].String, Visits: number(v[1]), Unmasked: number(v[2]), IPv6: number(v[3])})
		r.rows.UserIDs.Total += number(v[4])
		r.rows.UserIDs.Plain += number(v[5])
		resolutions, languages, ids = resolutions+number(v[6]), languages+number(v[7]), ids+number(v[4])
	})
	if err != nil {
		return err
	}
	if answered {
		r.rows.Counts["log_visit: resolution"], r.rows.Counts["log_visit: languages"], r.rows.Counts["log_visit: user ids"] = resolutions, languages, ids
		if r.sizes["log_visit"] <= wholeLimit {
			r.rows.Counts["log_visit"] = 0
			for _, month := range r.rows.Months {
				r.rows.Counts["log_visit"] += month.Visits
			}
			delete(r.rows.Partial, "log_visit")
		}
	} else {
		r.rows.Partial["user_ids"] = r.rows.Partial["months"]
	}
	if _, err := r.ask("log_visit: plugins of browsers", "SELECT COALESCE(SUM(config_pdf OR config_flash OR config_java), 0) FROM "+r.newest("log_visit", "idvisit", "config_pdf, config_flash, config_java")+" newest", func(v []sql.NullString) {
		r.rows.Counts["log_visit: plugins of browsers"] = number(v[0])
	}); err != nil {
		return err
	}
	if _, err := r.ask("log_link_visit_action: timings", "SELECT COUNT(time_server) FROM "+r.newest("log_link_visit_action", "idlink_va", "time_server")+" newest", func(v []sql.NullString) {
		r.rows.Counts["log_link_visit_action: timings"] = number(v[0])
	}); err != nil {
		return err
	}
	_, err = r.ask("orders", "SELECT COUNT(idorder), COALESCE(SUM(idorder NOT REGEXP "+hashed+"), 0), COALESCE(SUM(idgoal <= 0), 0) FROM "+r.newest("log_conversion", "idvisit", "NULLIF(idorder, '') AS idorder, idgoal")+" newest", func(v []sql.NullString) {
		r.rows.Orders = facts.Pseudonyms{Total: number(v[0]), Plain: number(v[1])}
		r.rows.Counts["log_conversion: orders and carts"] = number(v[2])
		if r.sizes["log_conversion"] > newestRows {
			r.rows.Partial["orders"] = fmt.Sprintf("the newest %d of about %d rows", newestRows, r.sizes["log_conversion"])
		}
	})
	return err
}
