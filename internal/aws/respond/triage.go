package respond

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/aws/fleet"
	"rocca/internal/incident"
)

const (
	triageFile = "triage.tar.gz"
	doorLasts  = 20 * time.Minute
	mostTriage = 1 << 30 // bytes
)

// online asks Systems Manager whether its agent answers on the instance.
func (r *Response) online(ctx context.Context) (bool, error) {
	var said struct {
		InstanceInformationList []struct{ PingStatus string }
	}
	err := client.Ask(ctx, r.cloud, "ssm:DescribeInstanceInformation", client.Fields{"Filters": []client.Fields{{"Key": "InstanceIds", "Values": []string{r.options.Instance}}}}, &said)
	if err != nil {
		return false, fmt.Errorf("ask Systems Manager about %s: %w", r.options.Instance, client.Explain(err))
	}
	return len(said.InstanceInformationList) > 0 && said.InstanceInformationList[0].PingStatus == "Online", nil
}

func (r *Response) planTriage(ctx context.Context) ([]string, error) {
	reached, err := r.online(ctx)
	if !reached && !r.options.Triage {
		return []string{"nothing: Systems Manager does not reach the instance; --triage tries all the same"}, err
	}
	return []string{"ssm:SendCommand rocca host triage --put-url-stdin", "s3:GetObject " + r.key(triageFile)}, nil
}

// triage has the instance tell what only it knows, and fetches that.
func (r *Response) triage(ctx context.Context, c *incident.Case) error {
	if err := c.NotTaken("memory as a whole", "rocca does not read it: a tool for it (AVML, LiME) must be staged for the kernel of the instance"); err != nil {
		return err
	}
	missed := func(why string) error {
		return errors.Join(c.NotTaken("triage of the running system", why), incident.Skip(why))
	}
	reached, err := r.online(ctx)
	switch {
	case hopeless(ctx, err):
		return err
	case !reached && !r.options.Triage && err != nil:
		return missed(err.Error())
	case !reached && !r.options.Triage:
		return missed("Systems Manager does not reach the instance; --triage tries all the same")
	case r.tools.Run == nil:
		return missed("nothing here runs programs on instances")
	case r.bucket.name == "":
		return missed(errNoBucket.Error())
	}
	door, err := r.bucket.door(ctx, r.key(triageFile), doorLasts)
	if err != nil {
		return fmt.Errorf("open a way for what the triage finds: %w", err)
	}
	if err := c.Note("rocca host triage runs on the instance; what it finds goes to s3://" + r.bucket.name + "/" + r.key(triageFile)); err != nil {
		return err
	}
	said, err := r.tools.Run(ctx, r.options.Instance, triageCommand(door))
	var exit *fleet.ExitError
	if errors.As(err, &exit) && exit.Code == exitMissing {
		err = nil
	}
	if err != nil {
		return errors.New(strings.ReplaceAll(fmt.Sprintf("triage on %s: %v", r.options.Instance, err), door, "ADDRESS"))
	}
	var answer struct {
		SHA256  string
		Missing map[string]string
	}
	if err := json.Unmarshal(said, &answer); err != nil {
		return fmt.Errorf("read what the triage on %s says: %w", r.options.Instance, err)
	}
	if _, err := c.Put("triage.json", "rocca host triage", []byte(redacted(string(said)))); err != nil {
		return err
	}
	for what, why := range answer.Missing {
		if err := c.NotTaken("triage: "+what, redacted(why)); err != nil {
			return err
		}
	}
	taken, err := r.fetchTriage(ctx, c)
	if err == nil && taken.SHA256 != answer.SHA256 {
		err = c.Note("WHAT LIES IN THE BUCKET IS NOT WHAT THE INSTANCE SAYS THAT IT PUT THERE: " + answer.SHA256 + " was said, " + taken.SHA256 + " is there; look at its versions")
	}
	return err
}

// exitMissing is that of a triage that was taken and is not whole.
const exitMissing = 3

// triageCommand takes the address from standard input, where rocca reads it. It
// lets its holder put one object, for minutes: that it stands in the history of
// commands gives nothing away.
func triageCommand(door string) []string {
	return []string{"sh", "-c", `printf '%s\n' "$1" | rocca host triage --put-url-stdin`, "sh", door}
}

// fetchTriage copies what the instance has put into the bucket. An intruder may
// have put it: nothing here opens it.
func (r *Response) fetchTriage(ctx context.Context, c *incident.Case) (incident.Evidence, error) {
	return c.Evidence(triageFile, "rocca host triage", func(w io.Writer) error {
		answer, err := r.bucket.stream(ctx, r.key(triageFile))
		if err != nil {
			return fmt.Errorf("fetch s3://%s/%s: %w", r.bucket.name, r.key(triageFile), err)
		}
		defer answer.Close()
		n, err := io.Copy(w, io.LimitReader(answer, mostTriage))
		if err == nil && n == mostTriage {
			err = fmt.Errorf("it has more than %d bytes; all of it is in the bucket", mostTriage)
		}
		return err
	})
}

// door is an address at which whoever has it may put that one object for a
// while, without credentials of its own.
func (b bucket) door(ctx context.Context, key string, lasts time.Duration) (string, error) {
	return client.Presign(ctx, b.cloud, "s3", http.MethodPut, b.address(key), lasts)
}

// stream reads an object that may be large.
func (b bucket) stream(ctx context.Context, key string) (io.ReadCloser, error) {
	return client.Stream(ctx, b.cloud, client.Request{Service: "s3", Method: http.MethodGet, URL: b.address(key), Refusal: client.RefusalXML})
}
