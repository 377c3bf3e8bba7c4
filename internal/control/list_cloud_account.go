package control

// cloudAccountControls are those of rights, watching and recovery in AWS.
func cloudAccountControls() []Control {
	return []Control{
		aws012, aws055, aws056, aws057, aws002, aws058, aws059, aws020, aws060, aws017, aws061, aws019, aws062, aws063, aws064, aws065, aws066,
		aws067, aws068, aws069, aws070, aws021, aws071,
	}
}
