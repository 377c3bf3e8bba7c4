package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// terminal is the terminal that a command reads from, if it does.
func terminal(cmd *cobra.Command) (in *os.File, found bool) {
	in, isFile := cmd.InOrStdin().(*os.File)
	return in, isFile && term.IsTerminal(int(in.Fd()))
}

// ask asks on a terminal. Anything but a yes ends in an error.
func ask(cmd *cobra.Command, in *os.File, question string) error {
	fmt.Fprintf(cmd.OutOrStdout(), "\n%s [y/N] ", question)
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil || !strings.HasPrefix(strings.ToLower(strings.TrimSpace(line)), "y") {
		return &exitError{exitUsage, errors.New("nothing was changed")}
	}
	return nil
}
