package facts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
)

// Version is that of the encoded facts. It grows when a field changes its
// meaning; new fields do not change it.
const Version = 1

// limit caps what Decode reads, in bytes: facts of a server with a million
// files have about half of it.
const limit = 1 << 30

type encoded struct {
	Version int `json:"version"`
	Server
}

// Encode writes facts as JSON. No content of a file and no secret is in them.
func Encode(w io.Writer, s Server) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(encoded{Version, s}); err != nil {
		return fmt.Errorf("write facts: %w", err)
	}
	return nil
}

// Decode reads what Encode wrote. Unknown fields are refused: they may be what
// a finding rests on.
func Decode(r io.Reader) (Server, error) {
	decoder := json.NewDecoder(io.LimitReader(r, limit))
	decoder.DisallowUnknownFields()
	var e encoded
	if err := decoder.Decode(&e); err != nil {
		return Server{}, fmt.Errorf("read facts: %w\nhint: rocca facts -o FILE writes such a file, of AWS rocca aws audit --save FILE", err)
	}
	if e.Version != Version {
		return Server{}, fmt.Errorf("read facts: they are of version %d, and this rocca reads version %d\nhint: collect them again: rocca facts", e.Version, Version)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Server{}, errors.New("read facts: something follows the end of them")
	}
	return e.Server, nil
}

// plainPath is Path without its methods.
type plainPath Path

// encodedPath shows the mode in octal and ACLs as text.
type encodedPath struct {
	plainPath
	Mode       string            `json:"mode,omitempty"`
	Xattrs     map[string][]byte `json:"xattrs,omitempty"`
	ACL        string            `json:"acl,omitempty"`         // "user::rw-,user:33:r--,group::r--,mask::r--,other::---"
	DefaultACL string            `json:"default_acl,omitempty"` // of a directory
}

// MarshalJSON implements json.Marshaler.
func (p Path) MarshalJSON() ([]byte, error) {
	e := encodedPath{plainPath: plainPath(p)}
	if p.Exists() {
		e.Mode = fmt.Sprintf("%04o", uint32(p.Mode))
	}
	access, inherited, err := p.ACL()
	if err != nil {
		e.Xattrs = p.Xattrs // what cannot be read as text is kept as it is
		return json.Marshal(e)
	}
	e.ACL, e.DefaultACL = aclText(access), aclText(inherited)
	for name, value := range p.Xattrs {
		if name != accessACL && name != defaultACL {
			if e.Xattrs == nil {
				e.Xattrs = map[string][]byte{}
			}
			e.Xattrs[name] = value
		}
	}
	return json.Marshal(e)
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *Path) UnmarshalJSON(text []byte) error {
	var e encodedPath
	if err := strictly(text, &e); err != nil {
		return err
	}
	*p = Path(e.plainPath)
	p.Xattrs = e.Xattrs
	if e.Mode != "" {
		mode, err := strconv.ParseUint(e.Mode, 8, 12)
		if err != nil {
			return fmt.Errorf("read mode %q: not four octal digits", e.Mode)
		}
		p.Mode = fs.FileMode(mode)
	}
	for name, acl := range map[string]string{accessACL: e.ACL, defaultACL: e.DefaultACL} {
		if acl == "" {
			continue
		}
		entries, err := parseACL(acl)
		if err != nil {
			return err
		}
		if p.Xattrs == nil {
			p.Xattrs = map[string][]byte{}
		}
		p.Xattrs[name] = encodeACL(entries)
	}
	return nil
}

// strictly decodes one JSON value, and refuses fields that are not known.
func strictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}
