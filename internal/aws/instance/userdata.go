package instance

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"path"
	"strings"
	"text/template"

	"rocca/internal/run"
)

//go:embed userdata.sh
var script string

// MostBytes is the size of user data that EC2 takes, before base64.
const MostBytes = 16 << 10

// heredocEnd ends the texts that the script writes to files.
const heredocEnd = "END-OF-FILE"

// UserData renders the script that an instance runs as root when it starts for
// the first time. The same Boot gives the same bytes.
func UserData(b Boot) ([]byte, error) {
	if err := b.validate(); err != nil {
		return nil, fmt.Errorf("render user data: %w", err)
	}
	config, err := b.Config.Encode()
	if err != nil {
		return nil, fmt.Errorf("render user data: %w", err)
	}
	if bytes.Contains(config, []byte(heredocEnd)) {
		return nil, fmt.Errorf("render user data: the configuration of the instance has %q in it", heredocEnd)
	}
	parsed, err := template.New("userdata.sh").Option("missingkey=error").Funcs(template.FuncMap{
		"base":  path.Base,
		"quote": func(word string) string { return run.Quote([]string{word}) },
	}).Parse(script)
	if err != nil {
		return nil, fmt.Errorf("render user data: %w", err)
	}
	var text bytes.Buffer
	err = parsed.Execute(&text, struct {
		Boot
		ConfigText, ConfigPath, CAPath, ProgramPath, Unit, RunDir, End string
	}{b, string(config), ConfigPath, CAPath, Program, Unit, RunDir, heredocEnd})
	if err != nil {
		return nil, fmt.Errorf("render user data: %w", err)
	}
	if text.Len() > MostBytes {
		return nil, fmt.Errorf("render user data: it has %d bytes, and EC2 takes %d", text.Len(), MostBytes)
	}
	return text.Bytes(), nil
}

// Protocols are those that artefacts may come by, as curl names them.
func (b Boot) Protocols() string {
	if b.Plain {
		return "=http,https"
	}
	return "=https"
}

func (b Boot) validate() error {
	remote := b.Config.Database.Host != ""
	problems := []error{b.artefact("program", b.Program)}
	if remote {
		problems = append(problems, b.artefact("CA of the database", b.CA))
	}
	if b.Agent != (Artefact{}) {
		problems = append(problems, b.artefact("SSM agent", b.Agent))
	}
	if b.Volume != "" && !volumeID.MatchString(b.Volume) && !reference.MatchString(b.Volume) {
		problems = append(problems, fmt.Errorf("the data volume is %q, which is no id of one", b.Volume))
	}
	if b.Volume != "" && remote {
		problems = append(problems, errors.New("a data volume is for a MariaDB on the instance, and there is a database elsewhere"))
	}
	return errors.Join(problems...)
}

func (b Boot) artefact(what string, a Artefact) error {
	switch {
	case !urlText.MatchString(references.ReplaceAllString(a.URL, "reference")):
		return fmt.Errorf("the %s has no URL that can be fetched: %q", what, a.URL)
	case !b.Plain && !strings.HasPrefix(a.URL, "https://"):
		return fmt.Errorf("the %s must come by https, not from %s", what, a.URL)
	case !sha256Hex.MatchString(a.SHA256):
		return fmt.Errorf("the %s has no SHA-256 of 64 lower-case hexadecimal digits: %q", what, a.SHA256)
	}
	return nil
}
