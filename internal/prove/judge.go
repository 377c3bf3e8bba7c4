package prove

import (
	"fmt"
	"slices"

	"rocca/internal/model"
)

// Judge puts together what an attack came to on the server and on its twins.
// intact is the attack on a twin that lacks nothing, for one that disturbs; nil
// when there was none.
func Judge(a Attack, server model.Attacked, intact *model.Attacked, twins []model.Twin) model.Attacked {
	if a.Disturbs && intact != nil && server.Result != model.NotApplicable && server.Result != model.Fell {
		server = *intact
		if server.Result == model.Held {
			server.Reason = "made on a copy of this server, as it may disturb"
		}
	}
	if server.Result == model.NotApplicable {
		return server
	}
	server.Twins, server.Twin = twins, twinsOutcome(a, twins)
	if server.Result != model.Held {
		return server
	}
	switch server.Twin {
	case model.Held:
		server.Result = model.NotProven
		at := slices.IndexFunc(twins, func(t model.Twin) bool { return t.Result != model.Fell })
		server.Reason = fmt.Sprintf("it does not succeed on a twin either that lacks %q, where it should: %s", twins[at].Without, twins[at].Answer)
	case model.NoTwin:
		server.Result, server.Reason = model.NotProven, "it held, but no twin shows that the attack can succeed"
	}
	return server
}

// twinsOutcome is Fell only when every protection was taken away in turn and
// the attack succeeded each time.
func twinsOutcome(a Attack, twins []model.Twin) model.Outcome {
	if len(twins) == 0 || len(twins) < len(a.Without) {
		return model.NoTwin
	}
	for _, t := range twins {
		if t.Result != model.Fell {
			return model.Held
		}
	}
	return model.Fell
}
