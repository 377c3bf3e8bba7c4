package stack

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/aws/settings"
)

// Group is a kind of instance: what its template says, and how many there are.
type Group struct {
	ID      string // begins the logical ids of what belongs to it
	Is      string // in words
	Roles   string // of rocca, with commas between
	Waiter  string // logical id of the resource that waits for its signal
	Least   int    // instances at least
	Most    int    // instances at most
	Served  bool   // gets requests from the load balancer
	Slow    int    // seconds: of twenty answers, one takes longer, and the owner hears of it
	Stretch bool   // grows and shrinks with its load
}

// Groups are those of the profile. With a single instance, it is alone in one.
func (v view) Groups() ([]Group, error) {
	switch {
	case v.Single():
		ready, err := v.Ready()
		return []Group{{ID: "Server", Is: "server", Roles: everything, Waiter: ready, Least: 1, Most: 1}}, err
	case v.Scale():
		return []Group{
			{ID: "Trackers", Is: "trackers", Roles: "tracker", Waiter: "Trackers", Least: min(2, v.Instance.Trackers), Most: v.Instance.Trackers, Served: true, Slow: 2, Stretch: true},
			{ID: "Interfaces", Is: "user interfaces", Roles: "ui", Waiter: "Interfaces", Least: 1, Most: 2, Served: true, Slow: 5},
			{ID: "Worker", Is: "worker", Roles: "worker", Waiter: "Worker", Least: 1, Most: 1},
		}, nil
	}
	return []Group{{ID: "Servers", Is: "servers", Roles: everything, Waiter: "Servers", Least: 1, Most: 2, Served: true, Slow: 2}}, nil
}

// everything is what an instance does that is not one of a kind.
const everything = "tracker,ui,worker"

// Tracking is the logical id of what waits for the instances that take hits:
// they are the first group.
func (v view) Tracking() (string, error) {
	groups, err := v.Groups()
	if err != nil {
		return "", err
	}
	return groups[0].Waiter, nil
}

// Role is the tag rocca:role of the group's instances.
func (g Group) Role() string { return strings.ToLower(g.ID) }

// Kept is how many instances stay in service while others are replaced: all
// that there must be, where there may be one more for a while.
func (g Group) Kept() int { return min(g.Least, g.Most-1) }

// Script is the user data of a group's instances.
func (v view) Script(g Group) (string, error) {
	text, err := v.userData(strings.Split(g.Roles, ","), g.Waiter)
	return string(text), err
}

// Ready is the logical id of the resource that waits for the single instance.
// CloudFormation waits only for what it makes: the id is another one whenever
// the instance will be.
//
// The instance cannot wait for itself. It signals when Matomo works, for which
// it needs its address and its disk, and those come once it is complete.
func (v view) Ready() (string, error) {
	script, err := v.userData(strings.Split(everything, ","), "Ready")
	if err != nil {
		return "", err
	}
	text, err := json.Marshal([]any{
		v.Instance.Image, v.Instance.Type, v.Instance.Disk, v.Monitoring.Detailed, tags(v.Settings), script,
		v.from(Base, "EdgeSubnetA"), v.from(Base, "WebGroup"), v.from(Base, "HostProfile"), v.from(Base, "Key"),
	})
	if err != nil {
		return "", fmt.Errorf("name what waits for the instance: %w", err)
	}
	sum := sha256.Sum256(text)
	return "Ready" + hex.EncodeToString(sum[:4]), nil
}

// Labels are the tags of what CloudFormation does not tag by itself, because an
// instance brings it along: those of the stack, and its role.
func (v view) Labels(role string) []settings.Tag {
	all := tags(v.Settings)
	all["Name"], all["rocca:role"] = v.Settings.Name+"-"+role, role
	var list []settings.Tag
	for _, key := range slices.Sorted(maps.Keys(all)) {
		list = append(list, settings.Tag{Key: key, Value: all[key]})
	}
	return list
}

// bursting are instance types with CPU credits.
var bursting = regexp.MustCompile(`^t[0-9]`)

// Bursts tells whether the instances have CPU credits.
func (v view) Bursts() bool { return bursting.MatchString(v.Instance.Type) }

// AdminSet is a list of addresses for the firewall, which keeps the versions of
// IP apart.
type AdminSet struct {
	Version   string // IPV4 or IPV6
	Addresses []string
}

// AdminSets are the networks of administrators.
func (v view) AdminSets() []AdminSet {
	sets := []AdminSet{{"IPV4", []string{}}, {"IPV6", []string{}}}
	for _, network := range v.AdminNetworks {
		version := 0
		if network.Addr().Is6() {
			version = 1
		}
		sets[version].Addresses = append(sets[version].Addresses, network.Masked().String())
	}
	return sets
}

// publicPaths are what visitors of tracked sites load: they may come from
// anywhere, and have addresses of other sites in their query, which rules
// against attacks take for attacks. All else is for administrators.
const publicPaths = `^/((matomo|piwik)\.(php|js)|js/(index\.php|piwik(\.min)?\.js|container_[A-Za-z0-9_]+\.js)?|offline-service-worker\.js|plugins/CoreAdminHome/javascripts/optOut\.js|robots\.txt|favicon\.ico)$`

// PublicPaths is a regular expression of the firewall.
func (v view) PublicPaths() string { return publicPaths }

// Chart is one picture of the dashboard.
type Chart struct {
	Title     string
	Statistic string
	Metrics   [][]any // as the dashboard's JSON has them; ${} is replaced by CloudFormation
}

// Charts are those of the profile, from visitors to the database.
func (v view) Charts() ([]Chart, error) {
	groups, err := v.Groups()
	if err != nil {
		return nil, err
	}
	var charts []Chart
	add := func(title, statistic string, metrics ...[]any) {
		charts = append(charts, Chart{title, statistic, shorten(metrics)})
	}
	if v.Single() {
		metric := func(name string) []any { return []any{"AWS/EC2", name, "InstanceId", "${Server}"} }
		add("Processor (%)", "Average", metric("CPUUtilization"))
		add("Network (bytes)", "Sum", metric("NetworkIn"), metric("NetworkOut"))
		add("Status checks that fail", "Maximum", metric("StatusCheckFailed_Instance"), metric("StatusCheckFailed_System"))
		if v.Bursts() {
			add("CPU credits", "Minimum", metric("CPUCreditBalance"))
		}
	} else {
		balancer := func(name string) []any {
			return []any{"AWS/ApplicationELB", name, "LoadBalancer", "${LoadBalancer.LoadBalancerFullName}"}
		}
		add("Requests", "Sum", balancer("RequestCount"), balancer("HTTPCode_Target_4XX_Count"), balancer("HTTPCode_Target_5XX_Count"), balancer("HTTPCode_ELB_5XX_Count"))
		firewall := func(name, rule string) []any {
			return []any{"AWS/WAFV2", name, "WebACL", v.Settings.Name, "Region", v.Region, "Rule", rule}
		}
		add("Firewall: refused", "Sum", firewall("BlockedRequests", "ALL"), firewall("BlockedRequests", "Rate"), firewall("BlockedRequests", "LoginRate"), firewall("BlockedRequests", "Common"))
		var slow, healthy, busy, running [][]any
		for _, g := range groups {
			group := []any{"AutoScalingGroupName", "${" + g.ID + "}"}
			busy = append(busy, append([]any{"AWS/EC2", "CPUUtilization"}, group...))
			running = append(running, append([]any{"AWS/AutoScaling", "GroupInServiceInstances"}, group...))
			if g.Served {
				targets := []any{"TargetGroup", "${" + g.ID + "Targets.TargetGroupFullName}", "LoadBalancer", "${LoadBalancer.LoadBalancerFullName}"}
				slow = append(slow, append([]any{"AWS/ApplicationELB", "TargetResponseTime"}, targets...))
				healthy = append(healthy, append([]any{"AWS/ApplicationELB", "HealthyHostCount"}, targets...))
			}
		}
		add("Response time, 95 of 100 (s)", "p95", slow...)
		add("Instances that answer", "Minimum", healthy...)
		add("Processor (%)", "Average", busy...)
		add("Instances", "Average", running...)
	}
	if v.RDS() {
		metric := func(name string) []any {
			return []any{"AWS/RDS", name, "DBInstanceIdentifier", v.Settings.Name + "-matomo"}
		}
		add("Database: processor (%)", "Average", metric("CPUUtilization"))
		add("Database: connections", "Maximum", metric("DatabaseConnections"))
		add("Database: free disk and memory (bytes)", "Minimum", metric("FreeStorageSpace"), metric("FreeableMemory"))
		add("Database: time of reads and writes (s)", "Average", metric("ReadLatency"), metric("WriteLatency"))
	}
	if v.Scale() {
		var full, queue [][]any
		for _, node := range v.CacheNodes() {
			cache := []any{"CacheClusterId", v.Settings.Name + "-matomo-" + node}
			full = append(full, append([]any{"AWS/ElastiCache", "DatabaseMemoryUsagePercentage"}, cache...))
			queue = append(queue, append([]any{"AWS/ElastiCache", "EngineCPUUtilization"}, cache...))
		}
		add("Queue of hits: memory (%)", "Maximum", full...)
		add("Queue of hits: processor (%)", "Average", queue...)
	}
	return charts, nil
}

// shorten writes "." for what a metric has in common with the one before, as
// the dashboard's JSON allows: templates may not be long.
func shorten(metrics [][]any) [][]any {
	short := make([][]any, len(metrics))
	for i, metric := range metrics {
		short[i] = slices.Clone(metric)
		for j := range metric {
			if i > 0 && j < len(metrics[i-1]) && metric[j] == metrics[i-1][j] {
				short[i][j] = "."
			}
		}
	}
	return short
}
