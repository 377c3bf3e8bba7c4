package shell

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/coder/websocket"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/client"
	"rocca/internal/aws/stack"
)

// launch starts an instance with the tags of a deployment.
func launch(t *testing.T, c client.Config, deployment, role string) string {
	t.Helper()
	answer, err := ec2.NewFromConfig(c).RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: aws.String("ami-0123456789abcdef0"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1), InstanceType: types.InstanceTypeT4gSmall,
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{
			{Key: aws.String(stack.DeploymentTag), Value: aws.String(deployment)}, {Key: aws.String("rocca:role"), Value: aws.String(role)},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(answer.Instances[0].InstanceId)
}

func TestInstances(t *testing.T) {
	c := awstest.Start(t).Config(t)
	ours := launch(t, c, "stats", "ui")
	launch(t, c, "other", "ui")
	gone := launch(t, c, "stats", "tracker")
	if _, err := ec2.NewFromConfig(c).TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{gone}}); err != nil {
		t.Fatal(err)
	}
	all, err := Instances(t.Context(), c, "stats")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || all[0].ID != ours || all[0].Role != "ui" || all[0].Type != "t4g.small" || all[0].Zone == "" || all[0].Address == "" {
		t.Errorf("got %+v", all)
	}
}

func TestPick(t *testing.T) {
	two := []Instance{{ID: "i-1", Role: "ui"}, {ID: "i-2", Role: "worker"}}
	for _, c := range []struct {
		all  []Instance
		id   string
		want string // id, or a part of the error
	}{
		{two[:1], "", "i-1"},
		{two, "i-2", "i-2"},
		{two, "", "there are 2:\n  i-1 ui\n  i-2 worker\nhint: --instance"},
		{two, "i-3", "i-3 is none of this deployment"},
		{nil, "", "none of the deployment is running"},
	} {
		got, err := Pick(c.all, c.id)
		if err == nil && got.ID != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("pick %q of %v: %v, %v", c.id, c.all, got, err)
		}
	}
}

func TestLegacyKey(t *testing.T) {
	c := awstest.Start(t).Config(t)
	made, err := LegacyKey(t.Context(), c, "matomo-keypair", "alias/aws/ssm", "stats")
	if err != nil {
		t.Fatal(err)
	}
	read, err := LegacyKey(t.Context(), c, "matomo-keypair", "alias/aws/ssm", "stats")
	if err != nil {
		t.Fatal(err)
	}
	if !made.Public().(ed25519.PublicKey).Equal(read.Public()) {
		t.Error("the key that was stored is another than the one that was made")
	}
	stored, err := ssm.NewFromConfig(c).GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/matomo/ec2/private-key/matomo-keypair")})
	if err != nil {
		t.Fatal(err)
	}
	if stored.Parameter.Type != ssmtypes.ParameterTypeSecureString {
		t.Errorf("stored as %s", stored.Parameter.Type)
	}
	if _, err := LegacyKey(t.Context(), c, "../x", "alias/aws/ssm", "stats"); err == nil {
		t.Error("a path was taken for a name")
	}
	const private = "SECRET-TEXT-OF-A-KEY"
	for name, kind := range map[string]ssmtypes.ParameterType{"plain": ssmtypes.ParameterTypeString, "broken": ssmtypes.ParameterTypeSecureString} {
		if _, err := ssm.NewFromConfig(c).PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String(legacyPath + name), Type: kind, Value: aws.String(private)}); err != nil {
			t.Fatal(err)
		}
		if _, err := LegacyKey(t.Context(), c, name, "alias/aws/ssm", "stats"); err == nil || strings.Contains(err.Error(), private) {
			t.Errorf("the %s key: %v", name, err)
		}
	}
}

func TestParseKeyOfOpenSSH(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parseKey(pem.EncodeToMemory(block), "x")
	if err != nil || !key.Public().(ed25519.PublicKey).Equal(parsed.Public()) {
		t.Errorf("got %v, %v", parsed, err)
	}
}

// publicKey is a host key, as a line of authorized_keys.
func publicKey(t *testing.T) string {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
}

func TestHostKeys(t *testing.T) {
	old, first, second := publicKey(t), publicKey(t), publicKey(t)
	block := func(lines ...string) string {
		return "-----BEGIN SSH HOST KEY KEYS-----\n" + strings.Join(lines, "\n") + "\n-----END SSH HOST KEY KEYS-----\n"
	}
	for name, c := range map[string]struct{ console, want string }{
		"two keys":       {"[ 1.0] Linux\n" + block(first+" root@ip-10-0-0-1", second), "i-1 " + first + "\ni-1 " + second + "\n"},
		"a later boot":   {block(old) + "...\n" + block(first), "i-1 " + first + "\n"},
		"system log":     {block("<14>Nov 22 05:00:00 cloud-init: " + first), "i-1 " + first + "\n"},
		"something else": {block("rm -rf /", "ssh-ed25519 AAAAnot", first), "i-1 " + first + "\n"},
		"none":           {"[ 1.0] Linux\n", ""},
		"empty block":    {block(""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseHostKeys(base64.StdEncoding.EncodeToString([]byte(c.console)), "i-1")
			if string(got) != c.want || (err == nil) != (c.want != "") {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func FuzzHostKeys(f *testing.F) {
	f.Add([]byte("-----BEGIN SSH HOST KEY KEYS-----\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ1 x\n-----END SSH HOST KEY KEYS-----\n"))
	f.Fuzz(func(t *testing.T, console []byte) {
		known, err := parseHostKeys(base64.StdEncoding.EncodeToString(console), "i-1")
		if err != nil {
			return
		}
		for line := range strings.Lines(string(known)) {
			if _, hosts, _, _, _, err := ssh.ParseKnownHosts([]byte(line)); err != nil || len(hosts) != 1 || hosts[0] != "i-1" {
				t.Errorf("the line %q: %v, %v", line, hosts, err)
			}
		}
	})
}

func TestAgentHasTheOneKey(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "agent")
	stop, err := serveKey(t.Context(), socket, key)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	signers, err := agent.NewClient(conn).Signers()
	if err != nil || len(signers) != 1 {
		t.Fatalf("got %d keys, %v", len(signers), err)
	}
	signature, err := signers[0].Sign(nil, []byte("challenge"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	if err := public.Verify([]byte("challenge"), signature); err != nil {
		t.Error(err)
	}
	stop()
	if late, err := net.Dial("unix", socket); err == nil {
		late.Close()
		t.Error("the agent answers after it was stopped")
	}
}

// endpoint is an EC2 Instance Connect Endpoint whose instance answers in capitals.
func endpoint(t *testing.T, accept bool) (address string, asked *http.Request) {
	t.Helper()
	asked = new(http.Request)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = *r.Clone(r.Context())
		if !accept {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		socket, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer socket.CloseNow()
		_, said, err := socket.Read(r.Context())
		if err != nil {
			return
		}
		_ = socket.Write(r.Context(), websocket.MessageBinary, bytes.ToUpper(said))
		_ = socket.Close(websocket.StatusNormalClosure, "")
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

func TestTunnel(t *testing.T) {
	c := awstest.Start(t).Config(t)
	at, asked := endpoint(t, true)
	address, err := tunnelAddress(t.Context(), c, at, "eice-1", "10.20.0.5", SSH)
	if err != nil {
		t.Fatal(err)
	}
	// The side of ssh stays open until the instance has answered.
	said, never := io.Pipe()
	defer never.Close()
	go fmt.Fprint(never, "ssh-2.0-hello")
	var heard bytes.Buffer
	if err := carry(t.Context(), address, "i-1", struct {
		io.Reader
		io.Writer
	}{said, &heard}); err != nil {
		t.Fatal(err)
	}
	if heard.String() != "SSH-2.0-HELLO" {
		t.Errorf("heard %q", heard.String())
	}
	query := asked.URL.Query()
	for key, want := range map[string]string{"instanceConnectEndpointId": "eice-1", "privateIpAddress": "10.20.0.5", "remotePort": "22", "maxTunnelDuration": "3600", "X-Amz-Expires": "60", "X-Amz-Algorithm": "AWS4-HMAC-SHA256"} {
		if query.Get(key) != want {
			t.Errorf("%s is %q, want %q", key, query.Get(key), want)
		}
	}
	if !strings.Contains(query.Get("X-Amz-Credential"), "/eu-central-1/ec2-instance-connect/aws4_request") || query.Get("X-Amz-Signature") == "" {
		t.Errorf("signed as %q", query.Get("X-Amz-Credential"))
	}
}

func TestTunnelRefused(t *testing.T) {
	c := awstest.Start(t).Config(t)
	at, _ := endpoint(t, false)
	address, err := tunnelAddress(t.Context(), c, at, "eice-1", "10.20.0.5", SSH)
	if err != nil {
		t.Fatal(err)
	}
	err = carry(t.Context(), address, "i-1", &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "403") || strings.Contains(err.Error(), "X-Amz-Signature") {
		t.Errorf("got %v", err)
	}
}

func TestNoEndpoint(t *testing.T) {
	cloud := awstest.Start(t)
	cloud.Answer("ec2", "DescribeInstanceConnectEndpoints", awstest.Say(200, `<DescribeInstanceConnectEndpointsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><instanceConnectEndpointSet/></DescribeInstanceConnectEndpointsResponse>`))
	err := Tunnel(t.Context(), cloud.Config(t), Instance{ID: "i-1", VPC: "vpc-1"}, SSH, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "vpc-1 has none that is ready") {
		t.Errorf("got %v", err)
	}
}
