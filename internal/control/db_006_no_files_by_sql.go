package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var fileImport = demands{where: serving, all: []demand{{key: "General.enable_load_data_infile", usual: "1", want: "0"}}}

var db006 = Control{
	ID:       "DB-06",
	Title:    "SQL reads and writes no files",
	Why:      "LOAD DATA and SELECT INTO OUTFILE turn an SQL injection into reading the server's files or writing a script. With local_infile a database server that an attacker controls reads the files of its clients.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Data, facts.App},
	Eval: func(v *View) Verdict {
		found, unread := fileImport.against(v)
		if !v.Database.Reached {
			return conclude(found, append(unread, "the database server could not be asked: "+v.Database.Problem))
		}
		unread = append(unread, untold(v, "local_infile", "secure_file_priv")...)
		if variableOn(v, "local_infile") {
			found = append(found, variable(v, "local_infile", "OFF"))
		}
		if value, known := v.Database.Variables["secure_file_priv"]; known && !confined(v, value) {
			found = append(found, variable(v, "secure_file_priv", "a directory that holds nothing, such as /var/lib/mysql-files"))
		}
		return conclude(found, unread)
	},
	Fix: Fix{
		Kind: model.FixAutomatic, Steps: slices.Concat(databaseSteps, configurationSteps), Changes: fileImport.changes,
		Text: "In /etc/mysql/mariadb.conf.d: local_infile = 0 and secure_file_priv = a directory that holds nothing. In config.ini.php: [General] enable_load_data_infile = 0; Matomo inserts the rows instead.",
	},
	Attack: "A18",
	Maps:   []model.Ref{mariadb("file privilege"), asvs("13.2.5")},
	Since:  "0.3",
}

// confined tells whether SQL reaches files of one directory at most. MySQL says
// NULL for none at all; to MariaDB NULL and "" are every directory.
func confined(v *View, value string) bool {
	value = strings.TrimSpace(value)
	if strings.EqualFold(value, "NULL") {
		return !v.Database.MariaDB()
	}
	return value != "" && value != "/"
}
