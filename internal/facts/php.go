package facts

import "slices"

// SAPI is one of PHP's programs with the settings that it reads.
type SAPI struct {
	Name       string             `json:"name"` // "fpm", "cli", "apache2"
	Branch     string             `json:"branch"`
	Version    string             `json:"version,omitempty"` // "8.2.29"
	Files      []string           `json:"files,omitempty"`   // php.ini and conf.d
	Settings   map[string]Setting `json:"settings,omitempty"`
	Extensions []string           `json:"extensions,omitempty"` // loaded, lower case, sorted
}

// Pool is a set of PHP workers, or Apache's own PHP (SAPI "apache2").
type Pool struct {
	Name      string   `json:"name"`
	SAPI      string   `json:"sapi"` // "fpm" or "apache2"
	Branch    string   `json:"branch"`
	File      string   `json:"file"`
	Line      int      `json:"line,omitempty"`
	Master    string   `json:"master"`    // what it shares OPcache with: the unit of the master, or its configuration file
	MasterAs  string   `json:"master_as"` // user that the master runs as
	User      string   `json:"user"`      // that workers run as
	Group     string   `json:"group"`
	Listen    string   `json:"listen"`          // "/run/php/x.sock", "127.0.0.1:9000", "" for Apache's own
	Owner     string   `json:"owner,omitempty"` // listen.owner, or of the socket unit
	OwnGroup  string   `json:"own_group,omitempty"`
	Mode      string   `json:"mode,omitempty"`    // listen.mode: "0660"
	ACL       string   `json:"acl,omitempty"`     // listen.acl_users and acl_groups
	Clients   string   `json:"clients,omitempty"` // listen.allowed_clients
	Workers   int      `json:"workers,omitempty"` // pm.max_children
	ClearEnv  bool     `json:"clear_env"`
	Env       []string `json:"env,omitempty"`        // names
	SecretEnv []string `json:"secret_env,omitempty"` // names of those that hold a secret
	Status    string   `json:"status,omitempty"`     // pm.status_path
	Ping      string   `json:"ping,omitempty"`       // ping.path
	Role      string   `json:"role,omitempty"`       // of Matomo: "ui", "tracker", "ui tracker"; empty: another application

	Settings   map[string]Setting `json:"settings,omitempty"`   // php.ini directives in effect, file and pool together; the directives of the pool itself as "security.limit_extensions"
	Extensions []string           `json:"extensions,omitempty"` // loaded, lower case, sorted
}

// Value returns a directive of a pool, and the default where nothing sets it.
func (p Pool) Value(directive, otherwise string) string {
	if setting, set := p.Settings[directive]; set {
		return setting.Value
	}
	return otherwise
}

// MatomoPools are the pools that run Matomo's PHP for visitors and users.
func (s Server) MatomoPools() []Pool {
	return slices.DeleteFunc(slices.Clone(s.PHP.Pools), func(p Pool) bool { return p.Role == "" })
}

// OtherPools are the pools of other applications.
func (s Server) OtherPools() []Pool {
	return slices.DeleteFunc(slices.Clone(s.PHP.Pools), func(p Pool) bool { return p.Role != "" })
}
