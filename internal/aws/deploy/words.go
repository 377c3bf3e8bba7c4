package deploy

import (
	"fmt"
	"strings"
	"time"
)

func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// minutes says about how long something takes.
func minutes(d time.Duration) string {
	if d < 90*time.Second {
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
	return fmt.Sprintf("%d min", int((d + 30*time.Second).Minutes()))
}

// hints are what to do about reasons that AWS gives, by a part of them in lower
// case. The first that fits is told.
var hints = []struct{ part, hint string }{
	{"action denied by stack policy", "the stack's policy keeps what nothing else has; if it may be lost: rocca aws deploy --allow-replace ID"},
	{"insufficientinstancecapacity", "AWS has no such instances left in that zone now: name another instance.type, or other network.zones, in rocca-aws.yaml, or try again later"},
	{"insufficient capacity", "AWS has no such instances left in that zone now: name another instance.type, or other network.zones, in rocca-aws.yaml, or try again later"},
	{"do not have sufficient", "AWS has none left in that zone now: name another type, or other network.zones, in rocca-aws.yaml, or try again later"},
	{"not supported in your requested availability zone", "name other network.zones in rocca-aws.yaml; rocca aws doctor tells which zones have it"},
	{"limitexceeded", "a quota of the account is used up: rocca aws doctor shows which, Service Quotas in the console raises it"},
	{"limit exceeded", "a quota of the account is used up: rocca aws doctor shows which, Service Quotas in the console raises it"},
	{"maximum number of", "a quota of the account is used up: rocca aws doctor shows which, Service Quotas in the console raises it"},
	{"quota", "a quota of the account is used up: rocca aws doctor shows which, Service Quotas in the console raises it"},
	{"not authorized to perform", "the credentials lack a right: rocca aws policy deploy prints the policy that deploying needs"},
	{"accessdenied", "the credentials lack a right: rocca aws policy deploy prints the policy that deploying needs"},
	{"invalidamiid", "the image is not there any more, or not in this region: rocca aws image --pin finds the newest"},
	{"image id", "the image is not there any more, or not in this region: rocca aws image --pin finds the newest"},
	{"cannot find version", "RDS does not offer that version in this region: correct database.version in rocca-aws.yaml; rocca aws doctor lists what there is"},
	{"already exists", "something of that name is left from before, or belongs to somebody else: remove it, or give the deployment another name"},
	{"failure signal", "the instance could not be made a working Matomo: its own account of it is in the log group of the instances"},
	{"resource signal", "the instance did not say in time that Matomo works: its own account of it is in the log group of the instances"},
	{"certificate", "the certificate is not proven yet: add the DNS record that was shown, then run rocca aws deploy again"},
	{"has a dependent object", "something that rocca did not make still uses it: remove that, then run the same command again"},
	{"dependencyviolation", "something that rocca did not make still uses it: remove that, then run the same command again"},
	{"bucket you tried to delete is not empty", "objects are left in the bucket; they may be under a retention lock"},
}

// hintOf gives what to do about a reason; empty when that is not known.
func hintOf(reason string) string {
	lower := strings.ToLower(reason)
	for _, h := range hints {
		if strings.Contains(lower, h.part) {
			return h.hint
		}
	}
	return ""
}
