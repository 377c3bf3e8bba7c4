package control

// cloudDataControls are those of the way to Matomo and its data in AWS.
func cloudDataControls() []Control {
	return []Control{
		aws036, aws015, aws037, aws038, aws039, aws040, aws041, aws016, aws042, aws043, aws044,
		aws045, aws046, aws010, aws011, aws047, aws048, aws049, aws050, aws051, aws052, aws053, aws054,
	}
}
