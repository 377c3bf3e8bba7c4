package facts

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Names of the extended attributes that hold an ACL (acl(5)).
const (
	accessACL  = "system.posix_acl_access"
	defaultACL = "system.posix_acl_default"
)

// ACLEntry is an entry of a POSIX ACL. Users and groups are numbers.
type ACLEntry struct {
	Tag         string // "user", "group", "mask", "other"
	ID          int    // -1: the owner, the owning group, or a tag without
	Permissions uint16 // of 4 read, 2 write, 1 execute
}

// Tags of an entry in the kernel's form (linux/posix_acl.h).
var aclTags = map[uint16]string{0x01: "user", 0x02: "user", 0x04: "group", 0x08: "group", 0x10: "mask", 0x20: "other"}

const (
	aclVersion   = 2
	aclNamedUser = 0x02
	aclNamed     = 0x0a // the tags of a named user or group
)

// ACL returns the entries of the access ACL, and of the default ACL that new
// entries of a directory get. Both are nil when there is none. One that cannot
// be read is an error: it may give rights to anybody.
func (p Path) ACL() (access, inherited []ACLEntry, err error) {
	if access, err = decodeACL(p.Xattrs[accessACL]); err != nil {
		return nil, nil, err
	}
	inherited, err = decodeACL(p.Xattrs[defaultACL])
	return access, inherited, err
}

func decodeACL(raw []byte) ([]ACLEntry, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if len(raw)%8 != 4 || binary.LittleEndian.Uint32(raw) != aclVersion {
		return nil, fmt.Errorf("read an ACL of %d bytes: not of version %d", len(raw), aclVersion)
	}
	var entries []ACLEntry
	for part := range slices.Chunk(raw[4:], 8) {
		tag := binary.LittleEndian.Uint16(part)
		name, known := aclTags[tag]
		if !known {
			return nil, fmt.Errorf("read an ACL: unknown tag %#x", tag)
		}
		entry := ACLEntry{Tag: name, ID: -1, Permissions: binary.LittleEndian.Uint16(part[2:]) & 7}
		if tag&aclNamed != 0 && tag&^aclNamed == 0 {
			entry.ID = int(binary.LittleEndian.Uint32(part[4:]))
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

func encodeACL(entries []ACLEntry) []byte {
	raw := binary.LittleEndian.AppendUint32(nil, aclVersion)
	for _, e := range entries {
		var tag uint16
		switch {
		case e.Tag == "user" && e.ID < 0:
			tag = 0x01
		case e.Tag == "user":
			tag = aclNamedUser
		case e.Tag == "group" && e.ID < 0:
			tag = 0x04
		case e.Tag == "group":
			tag = 0x08
		case e.Tag == "mask":
			tag = 0x10
		default:
			tag = 0x20
		}
		raw = binary.LittleEndian.AppendUint16(raw, tag)
		raw = binary.LittleEndian.AppendUint16(raw, e.Permissions)
		raw = binary.LittleEndian.AppendUint32(raw, uint32(int32(e.ID)))
	}
	return raw
}

// String shows an entry as getfacl(1) does: "user:33:r--".
func (e ACLEntry) String() string {
	id := ""
	if e.ID >= 0 {
		id = strconv.Itoa(e.ID)
	}
	permissions := []byte("---")
	for i, letter := range []byte("rwx") {
		if e.Permissions&(4>>i) != 0 {
			permissions[i] = letter
		}
	}
	return fmt.Sprintf("%s:%s:%s", e.Tag, id, permissions)
}

func aclText(entries []ACLEntry) string {
	parts := make([]string, len(entries))
	for i, e := range entries {
		parts[i] = e.String()
	}
	return strings.Join(parts, ",")
}

func parseACL(text string) ([]ACLEntry, error) {
	var entries []ACLEntry
	for part := range strings.SplitSeq(text, ",") {
		fields := strings.Split(part, ":")
		if len(fields) != 3 || len(fields[2]) != 3 || !slices.Contains([]string{"user", "group", "mask", "other"}, fields[0]) {
			return nil, fmt.Errorf("read ACL entry %q: not tag:id:rwx", part)
		}
		e := ACLEntry{Tag: fields[0], ID: -1}
		if fields[1] != "" {
			id, err := strconv.Atoi(fields[1])
			if err != nil || id < 0 {
				return nil, errors.New("read ACL entry " + strconv.Quote(part) + ": the id is not a number")
			}
			e.ID = id
		}
		for i, letter := range []byte("rwx") {
			if fields[2][i] == letter {
				e.Permissions |= 4 >> i
			}
		}
		entries = append(entries, e)
	}
	return entries, nil
}
