package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// deliver writes a result to standard output, or to a file that appears only
// when it is whole. It tells what is open on a server, so others cannot read it.
func deliver(cmd *cobra.Command, path string, content []byte) error {
	if path == "" || path == "-" {
		_, err := cmd.OutOrStdout().Write(content)
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".rocca-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = temporary.Write(content)
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(temporary.Name()))
	}
	return nil
}
