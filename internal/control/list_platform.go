package control

// platformControls are those of PHP, the front, TLS, the database, logs,
// updates and operation, in the order of the catalogue.
func platformControls() []Control {
	return []Control{
		php001, php002, php003, php004, php005, php006, php007, php008, php009, php010, php011, php012, php013,
		frt001, frt002, frt003, frt004, frt005, frt006, frt007, frt008, frt009, frt010, frt011, frt012, frt013, frt014, frt015, frt016, frt017,
		tls001, tls002, tls003, tls004, tls005, tls006,
		db001, db002, db003, db004, db005, db006, db007, db008, db009, db010, db011, db012,
		log001, log002, log005, log007,
		upd001, upd002, upd005, upd006, upd007,
		ops001, ops002, ops003, ops004, ops005, ops006,
	}
}
