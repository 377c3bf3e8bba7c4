package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"rocca/internal/durable"
	"rocca/internal/facts"
)

// deliver writes a result to standard output, or to a file that appears only
// when it is whole. It tells what is open on a server, so others cannot read it.
func deliver(cmd *cobra.Command, path string, content []byte) error {
	if path == "" || path == "-" {
		_, err := cmd.OutOrStdout().Write(content)
		return err
	}
	err := durable.Write(path, content, durable.Attr{Mode: 0o600})
	if err != nil {
		return cmp.Or(deliverable(path), err)
	}
	return nil
}

// deliverable tells before long work that its result would have no place.
func deliverable(path string) error {
	if path == "" || path == "-" {
		return nil
	}
	if err := unix.Access(filepath.Dir(path)+"/", unix.W_OK); err != nil {
		return fmt.Errorf("write %s: %w\nhint: name a file in a directory that is there and that you may write to (-o)", path, err)
	}
	return nil
}

// deliverFacts delivers what was seen, for an audit elsewhere or later.
func deliverFacts(cmd *cobra.Command, path string, server facts.Server) error {
	var out bytes.Buffer
	if err := facts.Encode(&out, server); err != nil {
		return err
	}
	return deliver(cmd, path, out.Bytes())
}

// showLine shows a result for a program: a JSON object on a line of its own.
func showLine(cmd *cobra.Command, value any) error {
	if err := json.NewEncoder(cmd.OutOrStdout()).Encode(value); err != nil {
		return fmt.Errorf("show the result: %w", err)
	}
	return nil
}

// openInput opens a file that the user named. Opening a named pipe that nobody
// writes to must not hang.
func openInput(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// inputLimit caps a small file that the user named, in bytes.
const inputLimit = 1 << 20

// readInput reads a small file that the user named.
func readInput(path string) ([]byte, error) {
	file, err := openInput(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, inputLimit+1))
	if err == nil && len(text) > inputLimit {
		err = fmt.Errorf("%s has more than %d bytes", path, inputLimit)
	}
	return text, err
}
