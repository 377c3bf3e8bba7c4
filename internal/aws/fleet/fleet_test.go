package fleet

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/crypto/ssh"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/client"
	"rocca/internal/aws/shell"
	"rocca/internal/aws/stack"
)

// launch starts an instance of a deployment, with further tags.
func launch(t *testing.T, c client.Config, deployment string, tags ...string) string {
	t.Helper()
	list := []types.Tag{{Key: aws.String(stack.DeploymentTag), Value: &deployment}}
	for _, key := range tags {
		list = append(list, types.Tag{Key: aws.String(key), Value: aws.String("x")})
	}
	answer, err := ec2.NewFromConfig(c).RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: aws.String("ami-0123456789abcdef0"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1), InstanceType: types.InstanceTypeT4gSmall,
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: list}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(answer.Instances[0].InstanceId)
}

func TestInService(t *testing.T) {
	c := awstest.Start(t).Config(t)
	ours := launch(t, c, "stats")
	launch(t, c, "stats", CaseTag)
	launch(t, c, "stats", RehearsalTag)
	launch(t, c, "other")
	all, err := Of(c, "stats").InService(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || all[0].ID != ours {
		t.Errorf("in service are %+v, want %s", all, ours)
	}
}

// managed makes the account answer for an instance with an agent.
func managed(cloud *awstest.Cloud, invocations ...string) (sent *[]string) {
	sent = new([]string)
	cloud.Answer("ssm", "SendCommand", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var in struct {
			DocumentName string
			InstanceIDs  []string
			Parameters   map[string][]string
		}
		if err := json.Unmarshal(body, &in); err != nil {
			*sent = append(*sent, err.Error())
		}
		*sent = append(*sent, strings.Join(slices.Concat([]string{in.DocumentName}, in.InstanceIDs, in.Parameters["commands"]), " "))
		_, _ = io.WriteString(w, `{"Command":{"CommandId":"c-1"}}`)
	})
	n := 0
	cloud.Answer("ssm", "GetCommandInvocation", func(w http.ResponseWriter, _ *http.Request) {
		text := invocations[min(n, len(invocations)-1)]
		n++
		if code, failed := strings.CutPrefix(text, "!"); failed {
			w.Header().Set("X-Amzn-Errortype", code)
			w.WriteHeader(http.StatusBadRequest)
			text = "{}"
		}
		_, _ = io.WriteString(w, text)
	})
	return sent
}

func TestRunByTheAgent(t *testing.T) {
	cloud := awstest.Start(t)
	f := Of(cloud.Config(t), "stats")
	f.pause = time.Millisecond
	for name, c := range map[string]struct {
		invocations []string
		out, err    string
		code        int
	}{
		"after a while": {[]string{"!InvocationDoesNotExist", `{"Status":"Pending","ResponseCode":-1}`, `{"Status":"InProgress","ResponseCode":-1}`,
			`{"Status":"Success","ResponseCode":0,"StandardOutputContent":"{}\n"}`}, "{}\n", "", 0},
		"exit status": {[]string{`{"Status":"Failed","StatusDetails":"Failed","ResponseCode":5,"StandardOutputContent":"{\"a\":1}","StandardErrorContent":"rocca: no\n"}`},
			`{"a":1}`, "run /usr/local/sbin/rocca host 'it'\\''s' on i-1: exit status 5\nrocca: no", 5},
		"never there": {[]string{`{"Status":"TimedOut","StatusDetails":"DeliveryTimedOut","ResponseCode":-1}`}, "", "DeliveryTimedOut\nhint: is the agent", 0},
		"refused":     {[]string{"!AccessDeniedException"}, "", "look how", 0},
	} {
		sent := managed(cloud, c.invocations...)
		out, err := f.Run(t.Context(), "i-1", []string{"/usr/local/sbin/rocca", "host", "it's"})
		if string(out) != c.out || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v", name, out, err)
		}
		var exit *ExitError
		if errors.As(err, &exit) != (c.code != 0) || exit != nil && exit.Code != c.code {
			t.Errorf("%s: %#v", name, err)
		}
		if want := []string{`AWS-RunShellScript i-1 exec /usr/local/sbin/rocca host 'it'\''s'`}; !slices.Equal(*sent, want) {
			t.Errorf("%s: sent %q", name, *sent)
		}
	}
}

func TestRunIsLeft(t *testing.T) {
	cloud := awstest.Start(t)
	f := Of(cloud.Config(t), "stats")
	f.pause = time.Millisecond
	managed(cloud, `{"Status":"InProgress","ResponseCode":-1}`)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("interrupted"))
	defer cancel()
	if _, err := f.Run(ctx, "i-1", []string{"true"}); err == nil || !strings.Contains(err.Error(), "goes on there: interrupted") {
		t.Errorf("got %v", err)
	}
}

// TestRunWithoutAnAgent: Systems Manager knows nothing of the instance, and
// EC2 Instance Connect lets a key in.
func TestRunWithoutAnAgent(t *testing.T) {
	cloud := awstest.Start(t)
	c := cloud.Config(t)
	id := launch(t, c, "stats")
	cloud.Answer("ssm", "SendCommand", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-Errortype", "InvalidInstanceId")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "{}")
	})
	server := newServer(t)
	cloud.Answer("ec2-instance-connect", "SendSSHPublicKey", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ InstanceId, InstanceOSUser, SSHPublicKey string } //nolint:revive // AWS's names
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.InstanceId != id || in.InstanceOSUser != "admin" {
			t.Errorf("a key for %+v, %v", in, err)
		}
		server.letIn, _, _, _, _ = ssh.ParseAuthorizedKey([]byte(in.SSHPublicKey))
		_, _ = io.WriteString(w, `{"Success":true}`)
	})
	f := Of(c, "stats")
	f.dial = func(context.Context, shell.Instance) (net.Conn, error) { return net.Dial("tcp", server.address) }
	known := server.known
	f.hostKeys = func(_ context.Context, i shell.Instance) ([]byte, error) {
		return []byte(i.ID + " " + known), nil
	}
	server.answer = func(command string) (string, string, uint32) { return command, "rocca: no", 0 }
	out, err := f.Run(t.Context(), id, []string{"rocca", "host", "a b"})
	if err != nil || string(out) != "exec sudo -n -- rocca host 'a b'" {
		t.Errorf("got %q, %v", out, err)
	}
	server.answer = func(string) (string, string, uint32) { return "{}", "rocca: no", 6 }
	out, err = f.Run(t.Context(), id, []string{"rocca"})
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != 6 || exit.Stderr != "rocca: no" || string(out) != "{}" {
		t.Errorf("got %q, %v", out, err)
	}
	if n := cloud.Count("ssm", "SendCommand"); n != 1 {
		t.Errorf("its agent was asked for %d times", n)
	}
	known = newServer(t).known
	clear(f.agentless)
	if _, err := f.Run(t.Context(), id, []string{"rocca"}); err == nil || !strings.Contains(err.Error(), "another host key than its console shows") {
		t.Errorf("an impostor was believed: %v", err)
	}
	f.dial = func(context.Context, shell.Instance) (net.Conn, error) {
		near, far := net.Pipe()
		broke := make(chan error, 1)
		broke <- errors.New("the endpoint refused")
		far.Close()
		return &tunnelled{Conn: near, broke: broke}, nil
	}
	if _, err := f.Run(t.Context(), id, []string{"rocca"}); err == nil || !strings.Contains(err.Error(), "the endpoint refused") {
		t.Errorf("a tunnel that broke: %v", err)
	}
	if _, err := f.Run(t.Context(), "i-other", []string{"rocca"}); err == nil || !strings.Contains(err.Error(), "no instance of stats that runs") {
		t.Errorf("an instance of others: %v", err)
	}
}

// server is an SSH server on loopback that lets in one key.
type server struct {
	address string
	known   string // its key, as a line without a name
	letIn   ssh.PublicKey
	answer  func(command string) (stdout, stderr string, code uint32)
}

func newServer(t *testing.T) *server {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	s := &server{address: listener.Addr().String(), known: string(ssh.MarshalAuthorizedKey(signer.PublicKey()))}
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if s.letIn == nil || string(key.Marshal()) != string(s.letIn.Marshal()) {
			return nil, errors.New("not let in")
		}
		return nil, nil
	}}
	config.AddHostKey(signer)
	go func() {
		for {
			stream, err := listener.Accept()
			if err != nil {
				return
			}
			go s.serve(stream, config)
		}
	}()
	return s
}

func (s *server) serve(stream net.Conn, config *ssh.ServerConfig) {
	defer stream.Close()
	_, channels, requests, err := ssh.NewServerConn(stream, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, asked, err := offered.Accept()
		if err != nil {
			return
		}
		for r := range asked {
			var command struct{ Text string }
			if r.Type != "exec" || ssh.Unmarshal(r.Payload, &command) != nil {
				_ = r.Reply(false, nil)
				continue
			}
			_ = r.Reply(true, nil)
			out, errs, code := s.answer(command.Text)
			_, _ = io.WriteString(channel, out)
			_, _ = fmt.Fprint(channel.Stderr(), errs)
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{code}))
			channel.Close()
		}
	}
}
