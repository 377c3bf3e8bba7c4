package prove

// All lists the attacks in the order of their ids.
func All() []Attack {
	return []Attack{
		a01,
		a02,
		a03,
		a04,
		a05,
		a06,
		a07,
		a08,
		a09,
		a10,
		a11,
		a13,
		a14,
		a15,
		a16,
		a17,
		a18,
		a19,
		a21,
		a23,
		a24,
		a27,
		a28,
		a30,
		a31,
		a32,
		a33,
		a34,
	}
}
