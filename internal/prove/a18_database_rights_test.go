package prove

import "testing"

// TestJudgeStatement has answers of MariaDB 10.11 as PDO gives them.
func TestJudgeStatement(t *testing.T) {
	zero, four := "0", "4"
	counted := statement{sql: "SELECT COUNT(*) ...", reached: some}
	read := statement{sql: "SELECT LENGTH(LOAD_FILE('/etc/passwd'))", reached: anything}
	done := statement{sql: "DROP TABLE x"}
	written := statement{sql: "SELECT 1 INTO OUTFILE '/tmp/x'", file: "/tmp/x"}
	for _, test := range []struct {
		name        string
		statement   statement
		answer      said
		fell, clear bool
	}{
		{"done", done, said{Rows: 1}, true, true},
		{"done without a row", done, said{}, true, true},
		{"refused", done, said{Code: 1142, Text: "DROP command denied to user 'matomo'@'localhost'"}, false, true},
		{"refused by a trigger", done, said{Code: 1644, Text: "the tracker may not write this option"}, false, true},
		{"without a password", done, said{Code: 1698, Text: "Access denied for user 'matomo'@'localhost'"}, false, true},
		{"server gone", done, said{Code: 2006, Text: "MySQL server has gone away"}, false, false},
		{"no such table", done, said{Code: 1146, Text: "Table 'x' doesn't exist"}, false, false},
		{"nothing seen", counted, said{Value: &zero}, false, true},
		{"something seen", counted, said{Value: &four}, true, true},
		{"file not read", read, said{Columns: 1}, false, true},
		{"file read", read, said{Value: &four}, true, true},
		{"may load a library that is not there", statement{sql: "CREATE FUNCTION"}, said{Code: 1126, Text: "Can't open shared library"}, true, true},
		{"may write, but the system refuses", written, said{Code: 1, Text: "Can't create/write to file '/tmp/x' (Errcode: 13)"}, false, true},
		{"may write nowhere", written, said{Code: 1290, Text: "--secure-file-priv"}, false, true},
	} {
		if fell, clear := judgeStatement(test.statement, test.answer); fell != test.fell || clear != test.clear {
			t.Errorf("%s: fell %v, clear %v", test.name, fell, clear)
		}
	}
}
