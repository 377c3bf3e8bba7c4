package control

// cloudNetworkControls are those of the network and the machines of a deployment in AWS.
func cloudNetworkControls() []Control {
	return []Control{
		aws004, aws022, aws005, aws007, aws006, aws023, aws024, aws025, aws008, aws026, aws018, aws027, aws028,
		aws001, aws009, aws029, aws030, aws003, aws013, aws031, aws032, aws033, aws034, aws014, aws035,
	}
}
