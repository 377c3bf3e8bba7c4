package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/aws/image"
	"rocca/internal/aws/image/pin"
)

func newAWSImageCommand() *cobra.Command {
	var flags awsFlags
	var write, asJSON bool
	var release int
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Show the pinned machine image and the newest of Debian; pin that",
		Long: `Show the machine image (AMI) that instances start from, its age, and the newest
that Debian publishes for the processor of the instance type. Nothing else ever
changes the image: a new one replaces instances, so you say when.

With --pin the newest is written into the settings, as instance.image; comments
and everything else stay as they are. The next "rocca aws deploy" then replaces
the instances; data stays where it is.

Exit status: 0 the newest is pinned, 1 there is a newer one or none is pinned,
2 the settings or credentials are wrong.`,
		Example: "  rocca aws image\n  rocca aws image --pin\n  rocca aws image --pin --debian 12",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if release != 0 && !slices.Contains(image.Releases, release) {
				return fmt.Errorf("rocca does not set up servers on Debian %d: %v are known", release, image.Releases)
			}
			wanted, cloud, err := flags.load(cmd.Context())
			if err != nil {
				return err
			}
			found := images{}
			if id := wanted.Instance.Image; id != "" {
				now, err := image.Look(cmd.Context(), cloud, id)
				if err != nil && !errors.Is(err, image.ErrNone) {
					return err
				}
				now.ID = id // also of one that is gone
				found.Pinned = &now
			}
			if release == 0 {
				release = image.Releases[0]
				if found.Pinned != nil && slices.Contains(image.Releases, found.Pinned.Debian()) {
					release = found.Pinned.Debian()
				}
			}
			if found.Newest, err = image.Newest(cmd.Context(), cloud, release, wanted.Architecture()); err != nil {
				return err
			}
			found.Current = found.Pinned != nil && found.Pinned.ID == found.Newest.ID
			if write && !found.Current {
				if err := pin.Image(flags.config, found.Newest.ID); err != nil {
					return err
				}
				found.Written = flags.config
			}
			return found.tell(cmd, asJSON, time.Now())
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&write, "pin", false, "write the newest into the settings")
	cmd.Flags().IntVar(&release, "debian", 0, "release of Debian, 12 or 13 (default: that of the pinned image, or else 13)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// images is what the verb tells.
type images struct {
	Pinned  *image.Image `json:"pinned"` // null: none is
	Newest  image.Image  `json:"newest"`
	Current bool         `json:"current"`           // the newest is pinned
	Written string       `json:"written,omitempty"` // file that it was written into
}

func (i images) tell(cmd *cobra.Command, asJSON bool, now time.Time) error {
	var out bytes.Buffer
	if asJSON {
		encoder := json.NewEncoder(&out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(i); err != nil {
			return err
		}
	} else {
		i.table(&out, now)
	}
	if _, err := cmd.OutOrStdout().Write(out.Bytes()); err != nil {
		return err
	}
	if !i.Current && i.Written == "" {
		return &exitError{code: exitFindings}
	}
	return nil
}

// table writes for people, into memory.
func (i images) table(out *bytes.Buffer, now time.Time) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	switch {
	case i.Pinned == nil:
		fmt.Fprint(table, "pinned\tnone\n")
	case i.Pinned.Name == "":
		fmt.Fprintf(table, "pinned\t%s\tis not there any more, or not shared with this account\n", i.Pinned.ID)
	default:
		remark := ""
		if d := i.Pinned.Deprecated; !d.IsZero() && d.Before(now) {
			remark = ", deprecated"
		}
		if i.Pinned.Debian() == 0 {
			remark += ", not Debian's"
		}
		fmt.Fprintf(table, "pinned\t%s\t%s\t%d days old%s\n", i.Pinned.ID, i.Pinned.Name, i.Pinned.Days(now), remark)
	}
	fmt.Fprintf(table, "newest\t%s\t%s\t%d days old\n", i.Newest.ID, i.Newest.Name, i.Newest.Days(now))
	_ = table.Flush() // into memory
	switch {
	case i.Written != "" && i.Pinned == nil:
		fmt.Fprintf(out, "\nwrote it into %s\n", i.Written)
	case i.Written != "":
		fmt.Fprintf(out, "\nwrote it into %s; the next rocca aws deploy replaces the instances, and data stays where it is\n", i.Written)
	case i.Current:
		fmt.Fprintln(out, "\nnothing to do")
	default:
		fmt.Fprintln(out, "\nrocca aws image --pin takes the newest; the deploy after that replaces the instances")
	}
}
