package stack

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// JSON is the template as CloudFormation takes it: minified, keys sorted, so
// that the same deployment gives the same bytes. It fails on a template that
// is larger than MostTemplateBytes.
func (t Template) JSON() ([]byte, error) {
	type output struct {
		Description string `json:"Description,omitempty"`
		Value       any    `json:"Value"`
	}
	outputs := map[string]output{}
	for key, o := range t.Outputs {
		outputs[key] = output{o.Is, o.Value}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // patterns of log filters are full of &&, at six bytes each
	err := encoder.Encode(struct {
		AWSTemplateFormatVersion string
		Description              string
		Resources                map[string]Resource
		Outputs                  map[string]output `json:",omitempty"`
	}{"2010-09-09", t.Description, t.Resources, outputs})
	if err != nil {
		return nil, fmt.Errorf("write the template: %w", err)
	}
	minified := bytes.TrimSuffix(text.Bytes(), []byte("\n"))
	if len(minified) > MostTemplateBytes {
		return nil, fmt.Errorf("write the template: it has %d bytes, and CloudFormation takes at most %d without a bucket", len(minified), MostTemplateBytes)
	}
	return minified, nil
}
