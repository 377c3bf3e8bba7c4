package facts

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestEncodedFactsComeBack(t *testing.T) {
	acl := encodeACL([]ACLEntry{{"user", -1, 6}, {"user", 33, 4}, {"group", -1, 4}, {"group", 1000, 7}, {"mask", -1, 7}, {"other", -1, 0}})
	want := Server{
		Sections: map[Section]string{Files: "", Data: "connection refused"},
		Paths: map[string]Path{
			"/srv/x":   {Type: File, Mode: 0o4640, Owner: "root", Group: "www-data", Xattrs: map[string][]byte{accessACL: acl, "security.capability": {1, 2, 3}}},
			"/srv/dir": {Type: Dir, Mode: 0o1777, Owner: "root", Group: "root", Xattrs: map[string][]byte{defaultACL: acl}},
			"/gone":    {},
		},
		Units: map[string]Unit{"x.timer": {Loaded: true, Timer: Timer{Triggers: "x.service"}}},
	}
	var out bytes.Buffer
	if err := Encode(&out, want); err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{`"mode": "4640"`, `"acl": "user::rw-,user:33:r--,group::r--,group:1000:rwx,mask::rwx,other::---"`, `"triggers": "x.service"`} {
		if !strings.Contains(out.String(), shown) {
			t.Errorf("the JSON lacks %s:\n%s", shown, out.String())
		}
	}
	got, err := Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// The content of a file may be a secret, and so may the statement that makes an
// account.
func TestEncodedFactsHoldNoContent(t *testing.T) {
	var out bytes.Buffer
	if err := Encode(&out, Server{Paths: map[string]Path{"/x": {Type: File, Content: []byte("hunter2")}}}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), "aHVudGVyMg") {
		t.Errorf("the content of a file is encoded:\n%s", out.String())
	}
}

func TestDecodeRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                                       "read facts",
		`{}`:                                     "version 0",
		`{"version":2}`:                          "version 2",
		`{"version":1,"usres":{}}`:               "unknown field",
		`{"version":1,"paths":{"/x":{"mod":1}}}`: "unknown field",
		`{"version":1,"paths":{"/x":{"type":"file","mode":"rw"}}}`:              "octal",
		`{"version":1,"paths":{"/x":{"type":"file","acl":"user:33:r--,what"}}}`: "ACL",
		`{"version":1} {}`: "follows",
	} {
		_, err := Decode(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestBrokenACLIsAnError(t *testing.T) {
	for _, raw := range [][]byte{{1}, {2, 0, 0, 0, 1}, {3, 0, 0, 0}, append([]byte{2, 0, 0, 0}, 0x40, 0, 7, 0, 0, 0, 0, 0)} {
		if entries, _, err := (Path{Xattrs: map[string][]byte{accessACL: raw}}).ACL(); err == nil {
			t.Errorf("% x was read as %v", raw, entries)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":1,"paths":{"/x":{"type":"file","mode":"0640","acl":"user::rw-,user:33:r--"}}}`))
	f.Add([]byte(`{"version":1,"sections":{"files":""},"units":{"a.service":{"sandbox":{"ProtectSystem":"strict"}}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		server, err := Decode(bytes.NewReader(text))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := Encode(&out, server); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := Decode(&out)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		var twice bytes.Buffer
		if err := Encode(&twice, again); err != nil {
			t.Fatal(err)
		}
		var once bytes.Buffer
		if err := Encode(&once, server); err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Fatalf("facts change on the way:\n%s\n%s", once.Bytes(), twice.Bytes())
		}
	})
}

// An ACL comes from the file system as bytes: whatever they are, it is read
// whole or refused, and what was read is the same when it is written again.
func FuzzACL(f *testing.F) {
	f.Add(encodeACL([]ACLEntry{{"user", -1, 6}, {"user", 33, 4}, {"group", -1, 4}, {"mask", -1, 4}, {"other", -1, 0}}))
	f.Add([]byte{2, 0, 0, 0})
	f.Add([]byte{2, 0, 0, 0, 2, 0, 7, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, raw []byte) {
		entries, err := decodeACL(raw)
		if err != nil {
			return
		}
		again, err := decodeACL(encodeACL(entries))
		if err != nil || len(entries) > 0 && !reflect.DeepEqual(entries, again) {
			t.Fatalf("% x: %v came back as %v (%v)", raw, entries, again, err)
		}
		if len(entries) == 0 {
			return
		}
		text, err := parseACL(aclText(entries))
		if err != nil || !reflect.DeepEqual(entries, text) {
			t.Fatalf("% x: %v is shown as %q, which is %v (%v)", raw, entries, aclText(entries), text, err)
		}
	})
}
