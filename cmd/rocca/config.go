package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"rocca/internal/config"
)

func newConfigCommand() *cobra.Command {
	var file string
	command := &cobra.Command{
		Use:   "config",
		Short: "Check, show or write the configuration",
		Args:  cobra.NoArgs,
		RunE:  showHelp,
	}
	command.PersistentFlags().StringVarP(&file, "config", "c", config.DefaultPath, "configuration file")

	check := &cobra.Command{
		Use:   "check",
		Short: "Report every problem of the configuration",
		Long: `Report every problem of the configuration with its file, line and column.
Nothing on the server is looked at or changed.

Exit status: 0 no problem, 2 problems.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd, file)
			if err != nil {
				return err
			}
			if c.File() == "" {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: not there; every key has its default\n", file)
			} else {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: ok\n", c.File())
			}
			summarize(cmd, c)
			return nil
		},
	}
	show := &cobra.Command{
		Use:   "show",
		Short: "Print the effective configuration and where each value comes from",
		Long: `Print every value that is in effect, with "default" or the file and line that
set it. The output is itself a valid configuration and holds no secret.

Exit status: 0 printed, 2 the configuration has problems.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd, file)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(c.YAML())
			return err
		},
	}
	start := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a commented configuration to start from",
		Long: `Write a file with every key, its default and what it means, all commented out.
A file that exists is never overwritten; "-" prints instead.

Exit status: 0 written, 2 the file exists or cannot be written.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				file = args[0]
			}
			defaults, err := configDefaults()
			if err != nil {
				return err
			}
			if file == "-" {
				_, err := cmd.OutOrStdout().Write(config.Template(defaults))
				return err
			}
			if err := config.Init(file, defaults); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "wrote %s; edit it, then: rocca config check -c %[1]s\n", file)
			return nil
		},
	}
	command.AddCommand(check, show, start)
	return command
}

// loadConfig reads the file with this machine's defaults. Warnings go to the
// error stream.
func loadConfig(cmd *cobra.Command, file string) (config.Config, error) {
	defaults, err := configDefaults()
	if err != nil {
		return config.Config{}, err
	}
	c, err := config.Load(file, defaults)
	for _, warning := range c.Warnings() {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", warning)
	}
	return c, err
}

// summarize tells in a few lines what server the configuration describes.
func summarize(cmd *cobra.Command, c config.Config) {
	certificate, database, access := "self-signed certificate", "local MariaDB by socket", "open to everybody"
	if c.TLS.Certificate != "" {
		certificate = "certificate " + c.TLS.Certificate
	}
	if c.Database.Remote() {
		database = fmt.Sprintf("%s port %d, verified TLS", c.Database.Host, c.Database.Port)
	}
	if len(c.AdminNetworks) > 0 {
		var networks []string
		for _, network := range c.AdminNetworks {
			networks = append(networks, network.String())
		}
		access = "open to " + strings.Join(networks, ", ")
	}
	set := strings.Join(c.Set(), ", ")
	if set == "" {
		set = "nothing"
	}
	for _, line := range [][2]string{
		{"set", set},
		{"server", fmt.Sprintf("%s behind %s, %s", strings.Join(c.Domain, ", "), c.Front, certificate)},
		{"database", database + ", schema " + c.Database.Name},
		{"interface", access},
	} {
		fmt.Fprintf(cmd.OutOrStdout(), "  %-10s %s\n", line[0], line[1])
	}
	for _, app := range c.Apps {
		fmt.Fprintf(cmd.OutOrStdout(), "  %-10s %s (%s) at %s\n", "app", app.Name, app.Docroot, app.Domain)
	}
}

// configDefaults asks the machine for what the defaults depend on.
func configDefaults() (config.Defaults, error) {
	name, err := os.Hostname()
	if err != nil {
		return config.Defaults{}, fmt.Errorf("read the host name: %w", err)
	}
	// A missing file is an empty one. DNS is not asked: the default domain must
	// not change while DNS is down.
	hosts, _ := os.ReadFile("/etc/hosts")
	return config.Defaults{Hostname: qualified(name, string(hosts))}, nil
}

// qualified returns the name with its domain, as "hostname --fqdn" finds it in
// the text of /etc/hosts, or the name itself.
func qualified(name, hosts string) string {
	for line := range strings.Lines(hosts) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		for _, host := range words[1:] {
			if strings.HasPrefix(strings.ToLower(host), strings.ToLower(name)+".") {
				return host
			}
		}
	}
	return name
}
