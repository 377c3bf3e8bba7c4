package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newDocsCommand writes the manual pages and the command reference from the
// commands themselves. It is for packagers and `make`.
func newDocsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:    "docs",
		Short:  "Write manual pages or the command reference",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   showHelp,
	}
	generate := func(use, short string, write func(root *cobra.Command, directory string) error) *cobra.Command {
		return &cobra.Command{Use: use + " DIRECTORY", Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			root.DisableAutoGenTag = true
			if err := write(root, args[0]); err != nil {
				return fmt.Errorf("write documentation into %s: %w", args[0], err)
			}
			return nil
		}}
	}
	cmd.AddCommand(
		generate("man", "Write manual pages", func(root *cobra.Command, directory string) error {
			return doc.GenManTree(root, &doc.GenManHeader{Title: "ROCCA", Section: "8", Source: "rocca"}, directory)
		}),
		generate("markdown", "Write the command reference", doc.GenMarkdownTree),
	)
	return cmd
}
