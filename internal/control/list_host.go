package control

// hostControls are about the machine, its logins, its files, and what keeps
// programs apart.
func hostControls() []Control {
	return []Control{
		hst001, hst002, hst003, hst004, hst005, hst006, hst007, hst008, hst009, hst010, hst011, hst012, hst013, hst014,
		ssh001, ssh002, ssh003, ssh004, ssh005,
		fs001, fs002, fs003, fs004, fs005, fs006, fs007, fs008, fs009, fs010, fs011, fs012, fs013, fs014, fs015, fs016, fs017,
		iso001, iso002, iso003, iso004, iso005, iso006, iso007, iso008, iso009, iso010, iso011, iso012,
	}
}
