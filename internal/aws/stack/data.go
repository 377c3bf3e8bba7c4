package stack

import "strings"

// ServiceLog is a log that a service of AWS sends to CloudWatch.
type ServiceLog struct {
	ID   string // ends its logical id
	Name string // in the service
}

// DatabaseLogs are those worth keeping: no general log, which has the queries
// of everybody in it.
func (v view) DatabaseLogs() []ServiceLog {
	return []ServiceLog{{"Error", "error"}, {"Slow", "slowquery"}, {"Identity", "iam-db-auth-error"}}
}

// databaseSize is what an RDS instance of a size bears, in round figures. RDS
// derives max_connections from memory: about 85 for each GB.
type databaseSize struct {
	name        string
	connections int // four fifths of what it takes at most
	memory      int // MB that should stay free
}

var databaseSizes = []databaseSize{{"micro", 50, 64}, {"small", 110, 128}, {"medium", 240, 256}, {"large", 500, 512}}

// databaseSize is that of the class; anything larger counts as two of large.
func (v view) databaseSize() databaseSize {
	_, name, _ := strings.Cut(strings.TrimPrefix(v.Database.Class, "db."), ".")
	for _, size := range databaseSizes {
		if size.name == name {
			return size
		}
	}
	return databaseSize{name, 1000, 1024}
}

// MostConnections is the number of which the owner hears.
func (v view) MostConnections() int { return v.databaseSize().connections }

// LeastDatabaseMemory is in bytes.
func (v view) LeastDatabaseMemory() int { return v.databaseSize().memory << 20 }

// LeastDatabaseStorage is in bytes: a twentieth of the disk, below the tenth at
// which RDS makes it larger by itself, but at least 2 GB.
func (v view) LeastDatabaseStorage() int { return max(2, v.Database.Storage/20) << 30 }

// DatabaseBursts tells whether the class has CPU credits.
func (v view) DatabaseBursts() bool { return strings.HasPrefix(v.Database.Class, "db.t") }

// Insights tells whether RDS can watch queries on the class: the smallest
// cannot.
func (v view) Insights() bool {
	size := v.databaseSize().name
	return !v.DatabaseBursts() || size != "micro" && size != "small"
}

// CacheLogs are those of Valkey.
func (v view) CacheLogs() []ServiceLog {
	return []ServiceLog{{"Engine", "engine-log"}, {"Slow", "slow-log"}}
}

// CacheNodes are the endings of the names that ElastiCache gives to the nodes.
func (v view) CacheNodes() []string { return []string{"001", "002"} }
