package control

// applicationControls are about Matomo itself: its settings, plugins, logins,
// tracker and what it keeps of visitors.
func applicationControls() []Control {
	return []Control{
		app001, app002, app003, app004, app005, app006, app007, app008, app009, app010,
		app011, app012, app013, app014, app015, app016, app017, app018, app019,
		plg001, plg002, plg003, plg004, plg005, plg006,
		acc001, acc002, acc003, acc004, acc005, acc006, acc007, acc008, acc009,
		trk001, trk002, trk003, trk004, trk005, trk006,
		prv001, prv002, prv003, prv004, prv005, prv006, prv007, prv008,
		prv009, prv010, prv011, prv012, prv013, prv014, prv015, prv016,
	}
}
