package test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// Types of FastCGI records, see the specification 1.0, section 8.
const (
	fcgiBegin  = 1
	fcgiParams = 4
	fcgiStdin  = 5
	fcgiStdout = 6
)

// fastCGI has a pool run a script, past the front, and returns what it printed.
func (s *server) fastCGI(t *testing.T, pool, script string) string {
	t.Helper()
	conn, err := net.Dial("unix", fmt.Sprintf("/proc/%d/root/run/matomo/%s.sock", s.LeaderPID(), pool))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	var request, params bytes.Buffer
	for _, pair := range [][2]string{{"SCRIPT_FILENAME", script}, {"SCRIPT_NAME", script}, {"REQUEST_METHOD", "GET"}} {
		params.Write([]byte{byte(len(pair[0])), byte(len(pair[1]))}) // all shorter than 128
		params.WriteString(pair[0] + pair[1])
	}
	record := func(kind byte, content []byte) {
		header := []byte{1, kind, 0, 1, 0, 0, 0, 0}
		binary.BigEndian.PutUint16(header[4:], uint16(len(content)))
		request.Write(header)
		request.Write(content)
	}
	record(fcgiBegin, []byte{0, 1, 0, 0, 0, 0, 0, 0}) // role: responder
	record(fcgiParams, params.Bytes())
	record(fcgiParams, nil)
	record(fcgiStdin, nil)
	if _, err := conn.Write(request.Bytes()); err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	header := make([]byte, 8)
	for {
		if _, err := io.ReadFull(conn, header); err == io.EOF {
			return printed.String()
		} else if err != nil {
			t.Fatal(err)
		}
		content := make([]byte, int(binary.BigEndian.Uint16(header[4:]))+int(header[6]))
		if _, err := io.ReadFull(conn, content); err != nil {
			t.Fatal(err)
		}
		if header[1] == fcgiStdout {
			printed.Write(content[:len(content)-int(header[6])])
		}
	}
}
