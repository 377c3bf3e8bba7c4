package front

// The front looks at the query of index.php for two decisions. Both read it as
// PHP does and err on the safe side: PHP takes the last of two parameters of
// one name, decodes names, and turns odd characters in them into "_", so only
// a query in which none of this can happen is trusted to mean what it says.
const (
	// otherParameter is a parameter whose name is plain and neither module nor action.
	otherParameter = `(?!(?:module|action)(?:=|&|\[|%5B|\z))[A-Za-z0-9_]+(?:(?:\[|%5B)[A-Za-z0-9_]*(?:\]|%5D))*(?:=[^&]*)?`

	otherParameters = `(?:` + otherParameter + `(?:&|\z))*`

	// optOutQuery is a query that can only mean the opt-out of visitors, in
	// either order of module and action; to be anchored at its start.
	optOutQuery = otherParameters +
		`(?:module=CoreAdminHome&` + otherParameters + `action=optOut(?:JS)?|action=optOut(?:JS)?&` + otherParameters + `module=CoreAdminHome)` +
		`(?:&` + otherParameters + `)?\z`

	parameterOrAction = `(?:` + otherParameter + `|action=[A-Za-z0-9]*)`

	// apiQuery calls the API, whose limit is the general one.
	apiQuery = `^(?:` + parameterOrAction + `&)*module=API(?:&` + parameterOrAction + `)*\z`

	// ordinaryQuery has one module, which is not among those that check a
	// password, and any action. Matomo shows its login form at every address, and
	// takes it there, unless a script asks (XMLHttpRequest) or the API is called.
	ordinaryQuery = `^(?:` + parameterOrAction + `&)*module=(?!(?:[A-Za-z0-9]*Login|TwoFactorAuth)[A-Za-z0-9]*(?:&|\z))[A-Za-z0-9]+` +
		`(?:&` + parameterOrAction + `)*\z`
)
