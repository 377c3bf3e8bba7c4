package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"rocca/internal/change"
)

// hasTerminal tells whether a command reads from a terminal.
func hasTerminal(cmd *cobra.Command) bool {
	in, isFile := cmd.InOrStdin().(*os.File)
	return isFile && term.IsTerminal(int(in.Fd()))
}

// agree shows a plan and asks. The hint is for where nobody can be asked.
func agree(cmd *cobra.Command, planned []change.Planned, hint string) error {
	if !hasTerminal(cmd) {
		return errors.New("ask before changing this server: there is no terminal to ask on\nhint: " + hint)
	}
	printPlan(cmd.OutOrStdout(), planned, false)
	return ask(cmd, "Change this server?")
}

// ask asks on a terminal. Anything but a yes ends in an error.
func ask(cmd *cobra.Command, question string) error {
	fmt.Fprintf(cmd.OutOrStdout(), "\n%s [y/N] ", question)
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil || !strings.HasPrefix(strings.ToLower(strings.TrimSpace(line)), "y") {
		return &exitError{exitUsage, errors.New("nothing was changed")}
	}
	return nil
}
