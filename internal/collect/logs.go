package collect

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// logDirectives are where the fronts name their logs, with the kind.
var logDirectives = map[string]string{"access_log": "access", "customlog": "access", "transferlog": "access", "error_log": "error", "errorlog": "error"}

// logFiles lists the logs of what runs Matomo, each once.
func logFiles(s facts.Server) []facts.LogFile {
	kinds := map[string]string{}
	add := func(path, kind string) {
		if filepath.IsAbs(path) && !strings.HasPrefix(path, "/dev/") && kinds[path] == "" {
			kinds[path] = kind
		}
	}
	for directive, kind := range logDirectives {
		settings := slices.Clone(s.Front.Global[directive])
		for _, site := range s.Front.Sites {
			settings = append(settings, site.Directives[directive]...)
			for _, location := range site.Locations {
				settings = append(settings, location.Directives[directive]...)
			}
		}
		for _, setting := range settings {
			path, _, _ := strings.Cut(setting.Value, " ")
			add(path, kind)
		}
	}
	for _, pool := range s.PHP.Pools {
		add(pool.Value("error_log", ""), "php")
		add(pool.Value("access.log", ""), "fpm")
		add(pool.Value("slowlog", ""), "fpm")
	}
	for _, context := range s.Matomo.Contexts {
		add(context.Setting("log.logger_file_path"), "matomo")
		add(filepath.Join(context.Tmp, "logs/matomo.log"), "matomo")
	}
	for _, variable := range []string{"log_error", "general_log_file", "slow_query_log_file"} {
		add(s.Database.Variables[variable], "database")
	}
	var files []facts.LogFile
	for _, path := range slices.Sorted(maps.Keys(kinds)) {
		files = append(files, facts.LogFile{Path: path, Kind: kinds[path]})
	}
	return files
}
