package test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/instance"
	"rocca/internal/aws/instance/boot"
	"rocca/internal/demo"
	"rocca/internal/matomo/ini"
	"rocca/internal/model"
	"rocca/internal/run"
	"rocca/internal/standin"
	"rocca/internal/testhost"
)

// Addresses in the private network of the test.
const (
	atRouter   = "10.20.0.1"
	atBalancer = "10.20.0.10" // in the subnet of the load balancer
	atServices = "10.20.0.20" // AWS, and the bucket
	atMetadata = "169.254.169.254"
	atVisitor  = "198.51.100.7" // outside of the VPC
	atDatabase = "10.20.128.5"
	atFirst    = "10.20.64.10"
	atSecond   = "10.20.64.11"
)

const (
	masterPassword = "Masters-Secret-Of-The-Test-1"
	awsDomain      = "stats.example.org"
	instanceSeed   = "c2VlZCBvZiB0aGUgaW5zdGFuY2VzIG9mIHRoZSBlbmQtdG8tZW5kIHRlc3Qh"
)

// deployment is what lives longer than an instance: its network, its AWS, its
// database.
type deployment struct {
	network  *network
	database *remoteDatabase // on another server
	volume   string          // or a block device of this host, for a database on the instance
	cloud    *awstest.Cloud
	userData []byte
	signer   *keySigner
	master   string // ARN
	secrets  boot.Secrets

	mu       sync.Mutex
	granted  bool     // instances may read the administrator's secret
	asked    int      // how often they asked for it
	complete bool     // the stack waits for nobody any more
	signals  []string // of instances: "i-... SUCCESS"
	untoken  int      // requests to the metadata without a token
	keys     string   // that EC2 Instance Connect hands out for admin
}

// TestInstance runs user data as an EC2 instance would, twice: the second
// instance takes the place of the first, and nothing is lost.
func TestInstance(t *testing.T) {
	cloud := awstest.Start(t)
	d := &deployment{network: newNetwork(t), cloud: cloud}
	d.startDatabase(t)
	d.startAWS(t, func(b *instance.Boot) {
		b.CA, b.Agent = d.artefact("/ca.pem", []byte(d.database.ca.pem)), d.artefact("/agent.deb", agentPackage(t))
		b.Config.Proxies = []netip.Prefix{netip.MustParsePrefix("10.20.0.0/20")}
		b.Config.Database = instance.Database{Host: remoteName, Port: 3307, Name: "matomo", Network: netip.MustParsePrefix("10.20.0.0/16"), Master: d.master}
	})
	first := d.launch(t, atFirst)
	t.Run("wrong hash", func(t *testing.T) { d.testWrongHash(t, first) })
	first.start(t)
	for _, part := range []struct {
		name string
		test func(*testing.T, *ec2)
	}{
		{"waits for the right", d.testWaits},
		{"one at a time", d.testOneAtATime},
		{"comes up", d.testComesUp},
		{"behind a load balancer", d.testBalancer},
		{"metadata", d.testMetadata},
		{"reports", d.testReports},
		{"keys", d.testKeys},
		{"secrets", d.testInstanceSecrets},
		{"audit", d.testInstanceAudit},
		{"boots again", d.testBootsAgain},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.test(t, first) }) {
			return
		}
	}
	t.Run("is replaced", func(t *testing.T) { d.testReplaced(t, first) })
}

// TestInstanceWithVolume is the same with a MariaDB on the instance, whose data
// is on a volume that outlives it.
func TestInstanceWithVolume(t *testing.T) {
	cloud := awstest.Start(t)
	d := &deployment{network: newNetwork(t), cloud: cloud, volume: newVolume(t)}
	d.startAWS(t, func(b *instance.Boot) { b.Volume = "vol-0123456789abcdef0" })
	first := d.launch(t, atFirst)
	t.Run("another file system", func(t *testing.T) { d.testForeignVolume(t, first) })
	first.start(t)
	d.awaitSignal(t, first)
	first.visit(t)
	hits, salt := first.hits(t), first.saltOf(t)
	for _, name := range []string{"/srv/data", "/var/lib/mysql", "/var/lib/matomo", "/var/lib/matomo-tracker"} {
		if got := first.run(t, "findmnt", "--noheadings", "--output", "SOURCE,OPTIONS", "--mountpoint", name); !strings.HasPrefix(got, "/dev/sdf") || !strings.Contains(got, "nosuid,nodev,noexec") {
			t.Errorf("%s is %s, want it on the volume with nosuid,nodev,noexec", name, got)
		}
	}
	_, _ = first.Try(run.Command{Argv: []string{"systemctl", "poweroff"}})
	await(t, "the end of the first instance", time.Minute, func() bool { return first.LeaderPID() == 0 }, func() string { return "" })
	second := d.launch(t, atSecond)
	second.start(t)
	d.awaitSignal(t, second)
	if got := second.hits(t); got != hits || got == "0" {
		t.Errorf("there were %s hits, and there are %s", hits, got)
	}
	if second.saltOf(t) != salt {
		t.Error("the second instance has another salt")
	}
	second.visit(t)
}

// newVolume gives the name of a blank block device of this host.
func newVolume(t *testing.T) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "volume")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 600<<20); err != nil {
		t.Fatal(err)
	}
	made, err := run.Do(t.Context(), run.Command{Argv: []string{"losetup", "--find", "--show", image}})
	if err != nil {
		t.Fatal(err)
	}
	device := strings.TrimSpace(string(made.Stdout))
	t.Cleanup(func() {
		if _, err := run.Do(context.Background(), run.Command{Argv: []string{"losetup", "--detach", device}}); err != nil {
			t.Error(err)
		}
	})
	return device
}

// testForeignVolume: what is on a volume is not made into a file system of ours.
func (d *deployment) testForeignVolume(t *testing.T, i *ec2) {
	for name, argv := range map[string][]string{
		"swap":         {"mkswap", d.volume},
		"unknown data": {"sh", "-c", "echo data-of-somebody | dd of=" + d.volume + " bs=4096 seek=100 conv=notrunc"},
	} {
		must(t, argv...)
		before := digest(t, d.volume)
		result, err := i.Try(run.Command{Argv: []string{"bash", "-s"}, Stdin: bytes.NewReader(i.data), Env: i.endpoint()})
		if err == nil || !strings.Contains(string(result.Stderr), "is neither blank nor has an ext4 file system") {
			t.Errorf("%s: %v\n%s", name, err, result.Stderr)
		}
		if after := digest(t, d.volume); after != before {
			t.Errorf("%s: the volume was written to", name)
		}
		must(t, "blkdiscard", "--zeroout", "--force", d.volume)
	}
	if want := []string{d.signal(i, "FAILURE"), d.signal(i, "FAILURE")}; !slices.Equal(d.signals, want) {
		t.Errorf("the stack was told %q, want %q", d.signals, want)
	}
	d.read(func() bool { d.signals = nil; return true })
}

func digest(t *testing.T, name string) string {
	t.Helper()
	result, err := run.Do(t.Context(), run.Command{Argv: []string{"sha256sum", name}})
	if err != nil {
		t.Fatal(err)
	}
	return string(result.Stdout)
}

// visit has a hit recorded, and signs in.
func (i *ec2) visit(t *testing.T) {
	t.Helper()
	before := i.hits(t)
	got := i.visitor(t, atVisitor, awsDomain).get("matomo.php?idsite=1&rec=1&send_image=0&url=https%3A%2F%2Fexample.org%2F" + fmt.Sprint(time.Now().UnixNano()))
	if after := i.hits(t); got.status != 204 || after == before {
		t.Errorf("a hit: status %d, %s before and %s after: %.300q", got.status, before, after, got.body)
	}
	if in := i.visitor(t, atVisitor, awsDomain).signIn(i.password); in.status != 302 {
		t.Errorf("the first login with the derived password: status %d", in.status)
	}
}

// hits are those in the instance's own database.
func (i *ec2) hits(t *testing.T) string {
	t.Helper()
	return i.query(t, "SELECT COUNT(*) FROM matomo_log_link_visit_action")
}

// ec2 is a throw-away server in the place of an EC2 instance.
type ec2 struct {
	*server
	address string
	network *network
	data    []byte // user data
}

// launch boots a Debian as an image of it would, with no user data run yet.
func (d *deployment) launch(t *testing.T, address string) *ec2 {
	t.Helper()
	i := &ec2{&server{Host: testhost.Boot(t, awsHost()), password: d.secrets.Superuser.Reveal()}, address, d.network, d.userData}
	d.network.attach(t, i.Host, address)
	i.run(t, "rm", "/usr/local/bin/rocca") // it has to come by itself
	// Debian's image has an SSH server and this user.
	i.run(t, "apt-get", "-y", "--no-install-recommends", "install", "openssh-server")
	i.run(t, "useradd", "--create-home", "--shell", "/bin/bash", "admin")
	i.write(t, "/usr/local/share/ca-certificates/signer.crt", []byte(d.signer.authority.pem))
	i.run(t, "update-ca-certificates")
	i.write(t, "/etc/systemd/system/rocca-boot.service.d/test.conf", []byte("[Service]\nEnvironment="+i.endpoint()[0]+"\n"))
	i.write(t, "/root/key.asc", d.network.files["/matomo.key"])
	i.run(t, "sh", "-c", "echo "+atDatabase+" "+remoteName+" >>/etc/hosts")
	if d.volume != "" {
		minor := strings.TrimPrefix(d.volume, "/dev/loop")
		i.run(t, "mknod", "/dev/sdf", "b", "7", minor)
	}
	return i
}

// awsHost is a Debian that could fetch these from its mirror.
func awsHost() testhost.Options {
	return testhost.Options{Debian: "12", Bare: true, Packages: append(demo.Packages("12"), "curl", "openssh-server")}
}

// endpoint is the environment in which rocca finds the AWS of the test.
func (*ec2) endpoint() []string { return []string{"AWS_ENDPOINT_URL=http://" + atServices} }

// start runs user data as cloud-init does.
func (i *ec2) start(t *testing.T) {
	t.Helper()
	const script = "/var/lib/cloud/instance/scripts/part-001"
	i.write(t, script, i.data)
	i.run(t, "chmod", "0700", script)
	i.run(t, script)
}

func (i *ec2) journal(t *testing.T) string {
	t.Helper()
	return i.run(t, "journalctl", "--no-pager", "--output=cat", "--unit=rocca-boot.service")
}

// await waits until something is so; it is there for what another process does.
func await(t *testing.T, what string, limit time.Duration, is func() bool, state func() string) {
	t.Helper()
	for end := time.Now().Add(limit); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come about in %s:\n%s", what, limit, state())
		}
	}
}

// testWrongHash: what is not as pinned is neither installed nor used, and the
// stack is told as soon as there is somebody to tell it.
func (d *deployment) testWrongHash(t *testing.T, i *ec2) {
	for _, c := range []struct {
		name    string
		signals []string
		absent  []string
	}{
		{"/rocca", nil, []string{instance.Program, instance.CAPath, "/etc/systemd/system/" + instance.Unit}},
		{"/ca.pem", []string{d.signal(i, "FAILURE")}, []string{instance.CAPath, "/etc/systemd/system/" + instance.Unit}},
	} {
		wrong := regexp.MustCompile(`(`+c.name+`) [0-9a-f]{64} `).ReplaceAll(i.data, []byte("$1 "+strings.Repeat("0", 64)+" "))
		result, err := i.Try(run.Command{Argv: []string{"bash", "-s"}, Stdin: bytes.NewReader(wrong), Env: i.endpoint()})
		if err == nil || !strings.Contains(string(result.Stderr), c.name+" is not what was pinned") {
			t.Errorf("a wrong %s: %v\n%s", c.name, err, result.Stderr)
		}
		for _, name := range c.absent {
			if _, err := os.Lstat(i.Root() + name); err == nil {
				t.Errorf("a wrong %s: %s is there", c.name, name)
			}
		}
		if !slices.Equal(d.signals, c.signals) {
			t.Errorf("a wrong %s: the stack was told %q, want %q", c.name, d.signals, c.signals)
		}
	}
	d.read(func() bool { d.signals = nil; return true })
}

// testWaits: until it is granted the right, the instance waits, says so, and
// opens nothing.
func (d *deployment) testWaits(t *testing.T, i *ec2) {
	await(t, "a refused request for the administrator's secret", 2*time.Minute, func() bool { return d.read(func() bool { return d.asked > 1 }) }, func() string { return i.journal(t) })
	if said := i.journal(t); !strings.Contains(said, "the right to make Matomo's accounts: rocca aws deploy gives it") {
		t.Errorf("the journal does not say what is waited for:\n%s", said)
	}
	if accounts := d.database.accounts(t); accounts != "" {
		t.Errorf("there are accounts already:\n%s", accounts)
	}
	if runs := i.run(t, "rocca", "runs", "--json"); runs != "" {
		t.Errorf("a run was begun:\n%s", runs)
	}
	if conn, err := d.network.dial(t.Context(), atVisitor, i.address+":443"); err == nil {
		conn.Close()
		t.Error("something listens at 443")
	}
	if d.read(func() bool { return len(d.signals) > 0 }) {
		t.Errorf("the stack was told %q", d.signals)
	}
}

// testOneAtATime: another instance is at work on the database, and this one,
// which may now do the same, waits for it.
func (d *deployment) testOneAtATime(t *testing.T, i *ec2) {
	d.database.run(t, "systemd-run", "--quiet", "--unit=another-instance", "mariadb", "--socket", remoteHome+"/socket", "--execute", "SELECT GET_LOCK('rocca-provision', 0), SLEEP(600)")
	await(t, "the lock", time.Minute, func() bool { return d.database.sql(t, "SELECT IS_FREE_LOCK('rocca-provision')") == "0" }, func() string { return "" })
	d.read(func() bool { d.granted = true; return true })
	await(t, "waiting for another instance", time.Minute, func() bool {
		return strings.Contains(i.journal(t), "another instance that makes the accounts and tables of Matomo")
	}, func() string { return i.journal(t) })
	if accounts := d.database.accounts(t); accounts != "" {
		t.Errorf("it made accounts:\n%s", accounts)
	}
	d.database.run(t, "systemctl", "stop", "another-instance.service")
}

const vpcAccounts = "matomo-admin@10.20.0.0/255.255.0.0 ANY\nmatomo-tracker@10.20.0.0/255.255.0.0 ANY\nmatomo@10.20.0.0/255.255.0.0 ANY"

func (d *deployment) testComesUp(t *testing.T, i *ec2) {
	d.awaitSignal(t, i)
	d.read(func() bool { d.granted, d.complete = false, true; return true })
	if accounts := d.database.accounts(t); accounts != vpcAccounts {
		t.Errorf("the accounts are\n%s\nwant\n%s", accounts, vpcAccounts)
	}
	for name, want := range map[string]string{
		instance.ConfigPath: "600 root", "/etc/rocca/rocca.yaml": "600 root", "/etc/rocca/secrets.yaml": "600 root", instance.CAPath: "644 root",
	} {
		if got := i.run(t, "stat", "-c", "%a %U", name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if strings.Contains(string(i.read(t, "/etc/rocca/rocca.yaml")), "credentials") {
		t.Error("rocca.yaml still names an administrator")
	}
	if left := i.run(t, "sh", "-c", "ls -A "+instance.RunDir+" 2>/dev/null || true"); left != "" {
		t.Errorf("%s has %s", instance.RunDir, left)
	}
	if state := i.run(t, "sh", "-c", "systemctl is-enabled rocca-boot.service; dpkg-query --show --showformat '${Status}' amazon-ssm-agent"); state != "enabled\ninstall ok installed" {
		t.Errorf("the unit and the SSM agent: %s", state)
	}
}

// awaitSignal waits until an instance tells the stack that it is up.
func (d *deployment) awaitSignal(t *testing.T, i *ec2) {
	t.Helper()
	await(t, "a signal", 12*time.Minute, func() bool { return d.read(func() bool { return len(d.signals) > 0 }) }, func() string { return i.journal(t) })
	d.mu.Lock()
	defer d.mu.Unlock()
	if want := d.signal(i, "SUCCESS"); !slices.Equal(d.signals, []string{want}) {
		t.Fatalf("the stack was told %q, want %q:\n%s", d.signals, want, i.journal(t))
	}
	d.signals = nil
}

// signal is what an instance tells the stack.
func (*deployment) signal(i *ec2, status string) string {
	return "stats-app Servers " + instanceID(i.address) + " " + status
}

// instanceID is the one that the metadata tell who asks from an address.
func instanceID(address string) string {
	return "i-" + hex.EncodeToString(netip.MustParseAddr(address).AsSlice()) + "abcdef012"
}

// testBalancer visits as people do through a load balancer, and past it.
func (d *deployment) testBalancer(t *testing.T, i *ec2) {
	health := i.visitor(t, atBalancer, i.address).get("rocca-health")
	if health.status != 200 {
		t.Errorf("health, asked by the balancer: %d", health.status)
	}
	i.refuses(t, atVisitor, i.address, "rocca-health")
	through, past := i.visitor(t, atBalancer, awsDomain), i.visitor(t, atVisitor, awsDomain)
	d.hit(t, through, "CB000000", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https")
	d.hit(t, through, "CB000000", "X-Forwarded-For: 192.0.2.1, 203.0.113.9", "X-Forwarded-Proto: https") // the balancer appends
	d.hit(t, past, "C6330000", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https")
	page := through.get("", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https")
	if page.status != 200 || !nonceField.MatchString(page.body) {
		t.Errorf("the login page through the balancer: %d %.200q", page.status, page.body)
	}
	if installer := through.get("index.php?module=Installation&action=welcome", "X-Forwarded-Proto: https"); installer.status < 400 && !nonceField.MatchString(installer.body) && !strings.Contains(installer.body, "already installed") {
		t.Errorf("the installer answers: %d %.200q", installer.status, installer.body)
	}
	i.refuses(t, atBalancer, "other.example.org", "", "X-Forwarded-Host: "+awsDomain)
	d.signIn(t, i)
}

// refuses asks for what is not answered, or with an error.
func (i *ec2) refuses(t *testing.T, from, name, target string, headers ...string) {
	t.Helper()
	b := i.visitor(t, from, name)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.base+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range headers {
		key, value, _ := strings.Cut(header, ": ")
		request.Header.Set(key, value)
	}
	answer, err := b.client.Do(request)
	if err != nil {
		return
	}
	answer.Body.Close()
	if answer.StatusCode < 400 {
		t.Errorf("%s at %s is answered from %s: %d", target, name, from, answer.StatusCode)
	}
}

// signIn proves that the first login has the derived password.
func (d *deployment) signIn(t *testing.T, i *ec2) {
	t.Helper()
	if in := i.visitor(t, atBalancer, awsDomain).signIn(d.secrets.Superuser.Reveal()); in.status != 302 {
		t.Errorf("the first login with the derived password: status %d", in.status)
	}
}

// hit has one recorded, and looks whose address it was taken for.
func (d *deployment) hit(t *testing.T, b *browser, wantAddress string, headers ...string) {
	t.Helper()
	before := d.hits(t)
	got := b.get("matomo.php?idsite=1&rec=1&send_image=0&url=https%3A%2F%2Fexample.org%2F"+fmt.Sprint(time.Now().UnixNano()), headers...)
	if after := d.hits(t); got.status != 204 || after == before {
		t.Fatalf("a hit: status %d, %s before and %s after: %.300q", got.status, before, after, got.body)
	}
	if address := d.database.sql(t, "SELECT HEX(location_ip) FROM matomo.matomo_log_visit ORDER BY visit_last_action_time DESC, idvisit DESC LIMIT 1"); address != wantAddress {
		t.Errorf("the hit was taken for one of %s, want %s (masked)", address, wantAddress)
	}
}

func (d *deployment) hits(t *testing.T) string {
	t.Helper()
	return d.database.sql(t, "SELECT COUNT(*) FROM matomo.matomo_log_link_visit_action")
}

// testMetadata: root may ask for the credentials of the instance, the users that
// Matomo runs as may not.
func (d *deployment) testMetadata(t *testing.T, i *ec2) {
	ask := []string{"curl", "--silent", "--fail", "--max-time", "5", "--request", "PUT", "--header", "X-aws-ec2-metadata-token-ttl-seconds: 60", "http://" + atMetadata + "/latest/api/token"}
	i.run(t, ask...)
	for _, user := range []string{"matomo", "matomo-tracker", "matomo-admin"} {
		if i.as(user, ask...) {
			t.Errorf("%s reaches the instance metadata", user)
		}
	}
	if d.read(func() bool { return d.untoken > 0 }) {
		t.Error("requests came without a token: that is version 1")
	}
}

// testKeys: EC2 Instance Connect is the way in, from where it is allowed.
func (d *deployment) testKeys(t *testing.T, i *ec2) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.logIn(t, i, signer); err == nil {
		t.Error("a key that nobody let in logs in")
	}
	entry := fmt.Sprintf("#Timestamp=%d\n#Instance=%s\n#Caller=arn:aws:iam::123456789012:user/jane\n#Request=r-1\n%s", time.Now().Add(time.Minute).Unix(), instanceID(i.address), ssh.MarshalAuthorizedKey(encoded))
	d.read(func() bool {
		d.keys = entry + base64.StdEncoding.EncodeToString([]byte("no signature")) + "\n"
		return true
	})
	if _, err := d.logIn(t, i, signer); err == nil {
		t.Error("a key that AWS did not sign logs in")
	}
	d.read(func() bool { d.keys = entry + d.signer.sign(t, entry) + "\n"; return true })
	if user, err := d.logIn(t, i, signer); err != nil || user != "admin\n" {
		t.Errorf("a key that was let in: %q, %v\n%s", user, err, i.run(t, "journalctl", "--no-pager", "--unit=ssh.service"))
	}
	if said := i.run(t, "journalctl", "--no-pager", "--identifier=rocca"); !strings.Contains(said, "by arn:aws:iam::123456789012:user/jane, request r-1") {
		t.Errorf("the journal does not say who let the key in:\n%s", said)
	}
	d.read(func() bool { d.keys = ""; return true })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if conn, err := d.network.dial(ctx, atVisitor, i.address+":22"); err == nil {
		conn.Close()
		t.Error("SSH answers to everybody")
	}
}

func (d *deployment) active() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.keys
}

// logIn runs id by SSH, from within the VPC.
func (d *deployment) logIn(t *testing.T, i *ec2, key ssh.Signer) (string, error) {
	t.Helper()
	host, _, _, _, err := ssh.ParseAuthorizedKey(i.read(t, "/etc/ssh/ssh_host_ed25519_key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := d.network.dial(t.Context(), atRouter, i.address+":22")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	connected, channels, requests, err := ssh.NewClientConn(conn, i.address, &ssh.ClientConfig{
		User: "admin", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.FixedHostKey(host), HostKeyAlgorithms: []string{host.Type()},
	})
	if err != nil {
		return "", err
	}
	client := ssh.NewClient(connected, channels, requests)
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return "", err
	}
	out, err := session.Output("id -un")
	return string(out), err
}

// keySigner signs keys as EC2 Instance Connect does.
type keySigner struct {
	authority   authority
	key         *rsa.PrivateKey
	certificate string
}

func newKeySigner(t *testing.T) *keySigner {
	t.Helper()
	s := &keySigner{authority: newAuthority(t, "EC2 Instance Connect's")}
	var err error
	if s.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "managed-ssh-signer." + awstest.Region + ".amazonaws.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, s.authority.certificate, s.key.Public(), s.authority.key)
	if err != nil {
		t.Fatal(err)
	}
	s.certificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + s.authority.pem
	return s
}

func (s *keySigner) sign(t *testing.T, entry string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(entry))
	signature, err := rsa.SignPSS(rand.Reader, s.key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: sha256.Size})
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(signature)
}

// testInstanceSecrets: the derived secrets are where they must be, and what the
// instance was only shown is nowhere.
func (d *deployment) testInstanceSecrets(t *testing.T, i *ec2) {
	const list = "/run/secrets-of-the-test"
	look := func(secrets ...string) []string {
		if _, err := i.Try(run.Command{Argv: []string{"sh", "-c", "umask 077; cat >" + list}, Stdin: strings.NewReader(strings.Join(secrets, "\n") + "\n")}); err != nil {
			t.Fatal(err)
		}
		found, _ := i.Try(run.Command{Argv: []string{"grep", "--recursive", "--files-with-matches", "--no-messages", "--text", "--fixed-strings", "--file", list,
			"/etc", "/root", "/run", "/srv", "/tmp", "/usr/local", "/var"}})
		for _, command := range []string{"journalctl --all --no-pager", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ"} {
			if count, _ := i.Try(run.Command{Argv: []string{"sh", "-c", command + " | grep --text --count --fixed-strings --file " + list}}); strings.TrimSpace(string(count.Stdout)) != "0" {
				t.Errorf("%s shows a secret: %s times", command, count.Stdout)
			}
		}
		names := slices.DeleteFunc(strings.Fields(string(found.Stdout)), func(name string) bool { return name == list })
		slices.Sort(names)
		return names
	}
	if got := look(masterPassword, instanceSeed, secretKeyOfTheTest); len(got) > 0 {
		t.Errorf("what only AWS should keep is in %q", got)
	}
	allowed := []string{"/etc/rocca/secrets.yaml", "/var/lib/matomo-admin/config/config.ini.php", trackerConfig, uiConfig, "/var/lib/rocca/database-passwords"}
	var passwords []string
	for _, password := range d.secrets.Accounts {
		passwords = append(passwords, password.Reveal())
	}
	slices.Sort(allowed)
	for _, name := range look(append(passwords, d.secrets.Superuser.Reveal(), d.secrets.Salt.Reveal())...) {
		if !slices.Contains(allowed, name) {
			t.Errorf("a secret is in %s", name)
		}
	}
	i.run(t, "rm", list)
}

// acceptedOnInstances are findings that an instance has by design, with why.
var acceptedOnInstances = map[string]string{
	"TLS-03": "visitors see the certificate of the load balancer; behind it the instance has its own",
	"ACC-02": "the second factor is for the owner to set up",
	"APP-01": "the stand-in is no release of Matomo's",
	"UPD-01": "nor is it signed by its makers",
	"UPD-06": "the stand-in has the version of an old one",
}

func (d *deployment) testInstanceAudit(t *testing.T, i *ec2) {
	for _, f := range i.audit(t).Findings {
		if f.Status != model.Fail || f.Severity < model.High {
			continue
		}
		if _, accepted := acceptedOnInstances[f.ID]; !accepted {
			t.Errorf("%s (%s) %s: %+v", f.ID, f.Severity, f.Title, f.Evidence)
		}
	}
}

// testBootsAgain: a boot of a finished instance changes nothing and needs no
// right but that to read the one secret.
func (d *deployment) testBootsAgain(t *testing.T, i *ec2) {
	runs, asked := i.run(t, "rocca", "runs", "--json"), d.asked
	i.run(t, "systemctl", "start", "rocca-boot.service")
	if after := i.run(t, "rocca", "runs", "--json"); after != runs {
		t.Errorf("it changed something:\n%s\nbefore\n%s\n%s", after, runs, i.journal(t))
	}
	if d.asked != asked {
		t.Error("it asked for the administrator's secret")
	}
}

// testReplaced ends the first instance. Another one, from the same user data and
// without the right to make accounts, goes on with the same Matomo.
func (d *deployment) testReplaced(t *testing.T, first *ec2) {
	hits, salt, accounts := d.hits(t), first.saltOf(t), d.database.accounts(t)
	first.run(t, "ip", "link", "set", "eth0", "down")
	asked := d.asked
	d.read(func() bool { d.complete = false; return true })
	second := d.launch(t, atSecond)
	second.start(t)
	d.awaitSignal(t, second)
	if got := second.saltOf(t); got != salt || len(salt) < 32 {
		t.Error("the second instance has another salt")
	}
	if got := d.database.accounts(t); got != accounts {
		t.Errorf("the accounts were\n%s\nand are\n%s", accounts, got)
	}
	if got := d.hits(t); got != hits {
		t.Errorf("there were %s hits, and there are %s", hits, got)
	}
	if d.asked != asked {
		t.Error("it asked for the administrator's secret")
	}
	d.hit(t, second.visitor(t, atBalancer, awsDomain), "CB000000", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https")
	d.signIn(t, second)
}

func (i *ec2) saltOf(t *testing.T) string {
	t.Helper()
	parsed, err := ini.Parse([]byte(i.run(t, "cat", uiConfig))) // not from outside: it may be on a volume
	if err != nil {
		t.Fatal(err)
	}
	salt, _ := parsed.Get("General", "salt")
	return salt
}

// visitor asks the instance from an address of the network.
func (i *ec2) visitor(t *testing.T, from, name string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true, // HTTP/1.1, and whatever certificate, as a load balancer does
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return i.network.dial(ctx, from, i.address+":443")
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t, "https://" + name + "/", &http.Client{
		Jar: jar, Transport: transport, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// startDatabase starts what stands in for RDS: it takes no connection without
// TLS, has the schema, and an administrator with less than all rights.
func (d *deployment) startDatabase(t *testing.T) {
	host := &server{Host: testhost.Boot(t, awsHost())}
	d.network.attach(t, host.Host, atDatabase)
	d.database = startRemoteDatabase(t, host)
	host.run(t, "install", "-d", "-o", "mysql", remoteHome+"/files")
	d.database.start(t, append(withTLS, "--require-secure-transport=ON", "--skip-name-resolve", "--local-infile=OFF", "--secure-file-priv="+remoteHome+"/files")...)
	d.database.sql(t, strings.NewReplacer("dba", "rocca_admin", remotePassword, masterPassword).Replace(remoteAdministrator)+"CREATE DATABASE matomo;")
}

const secretKeyOfTheTest = "Secret-Key-Of-The-Role-Of-The-Test"

// startAWS makes the secrets, the bucket, the metadata and the user data.
func (d *deployment) startAWS(t *testing.T, shape func(*instance.Boot)) {
	t.Helper()
	secrets := secretsmanager.NewFromConfig(d.cloud.Config(t))
	create := func(name, text string) string {
		made, err := secrets.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String(name), SecretString: aws.String(text)})
		if err != nil {
			t.Fatal(err)
		}
		return *made.ARN
	}
	app := create("rocca/stats/app", `{"seed": "`+instanceSeed+`"}`)
	d.master = create("rds!db-0123", `{"username": "rocca_admin", "password": "`+masterPassword+`"}`)
	var err error
	if d.secrets, err = boot.Derive([]byte(`{"seed": "` + instanceSeed + `"}`)); err != nil {
		t.Fatal(err)
	}
	d.signer = newKeySigner(t)
	d.cloud.Answer("cloudformation", "SignalResource", d.signalled)
	d.network.serve(t, atMetadata, d.metadata())
	d.network.serve(t, atServices, d.services(t))

	program, err := os.ReadFile(testhost.Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	release, err := standin.Build(standin.Version)
	if err != nil {
		t.Fatal(err)
	}
	d.network.files["/matomo.key"] = release.PublicKey
	d.artefact("/"+release.Name+".asc", release.Signature)
	b := instance.Boot{
		Program: d.artefact("/rocca", program), Plain: true,
		Config: instance.Config{
			Deployment: "stats", Region: awstest.Region, Signal: instance.Signal{Stack: "stats-app", Resource: "Servers"}, Secret: app,
			Domain: []string{awsDomain}, Email: "owner@example.org", Roles: []string{"tracker", "ui", "worker"},
			SSHNetworks: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")},
			Release:     d.artefact("/"+release.Name, release.Archive).URL, ReleaseKey: "/root/key.asc",
		},
	}
	shape(&b)
	if d.userData, err = instance.UserData(b); err != nil {
		t.Fatal(err)
	}
}

// artefact puts a file into the bucket.
func (d *deployment) artefact(name string, content []byte) instance.Artefact {
	d.network.files[name] = content
	sum := sha256.Sum256(content)
	return instance.Artefact{URL: "http://" + atServices + name, SHA256: hex.EncodeToString(sum[:])}
}

// services are the endpoint of every service of AWS, and a bucket.
func (d *deployment) services(t *testing.T) http.Handler {
	moto, err := url.Parse(d.cloud.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	onward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(moto) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if content, is := d.network.files[path.Clean(r.URL.Path)]; is && r.Method == http.MethodGet {
			_, _ = w.Write(content)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetSecretValue") && bytes.Contains(body, []byte(d.master)) && !d.read(func() bool { d.asked++; return d.granted }) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type": "AccessDeniedException", "Message": "no identity-based policy allows the secretsmanager:GetSecretValue action"}`)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		onward.ServeHTTP(w, r)
	})
}

// signalled is CloudFormation, as far as an instance knows it.
func (d *deployment) signalled(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.complete {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "<ErrorResponse><Error><Code>ValidationError</Code><Message>Resource Servers is in CREATE_COMPLETE state and cannot be signaled</Message></Error></ErrorResponse>")
		return
	}
	d.signals = append(d.signals, strings.Join([]string{r.Form.Get("StackName"), r.Form.Get("LogicalResourceId"), r.Form.Get("UniqueId"), r.Form.Get("Status")}, " "))
	_, _ = io.WriteString(w, "<SignalResourceResponse/>")
}

// metadata are those of the instance that asks, in version 2 only.
func (d *deployment) metadata() http.Handler {
	const token = "token-of-the-test"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address, _, _ := net.SplitHostPort(r.RemoteAddr)
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" && r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds") != "":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			_, _ = io.WriteString(w, token)
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != token:
			d.read(func() bool { d.untoken++; return true })
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/latest/meta-data/instance-id":
			_, _ = io.WriteString(w, instanceID(address))
		case r.URL.Path == "/latest/meta-data/placement/region":
			_, _ = io.WriteString(w, awstest.Region)
		case r.URL.Path == "/latest/meta-data/services/domain":
			_, _ = io.WriteString(w, "amazonaws.com")
		case r.URL.Path == "/latest/meta-data/managed-ssh-keys/signer-cert/":
			_, _ = io.WriteString(w, d.signer.certificate)
		case r.URL.Path == "/latest/meta-data/managed-ssh-keys/active-keys/admin/" && d.active() != "":
			_, _ = io.WriteString(w, d.active())
		case r.URL.Path == "/latest/meta-data/iam/security-credentials/":
			_, _ = io.WriteString(w, "stats-host")
		case r.URL.Path == "/latest/meta-data/iam/security-credentials/stats-host":
			_ = json.NewEncoder(w).Encode(map[string]string{"Code": "Success", "AccessKeyId": "AKIDOFTHETEST", "SecretAccessKey": secretKeyOfTheTest,
				"Token": "session", "Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
		default:
			http.NotFound(w, r)
		}
	})
}

// read looks at, or changes, what requests change.
func (d *deployment) read(is func() bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return is()
}

// agentPackage is a Debian package with the name of the SSM agent.
func agentPackage(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "agent/DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	control := "Package: amazon-ssm-agent\nVersion: 3.3.1\nArchitecture: all\nMaintainer: Example <example@example.org>\nDescription: stand-in of the test\n"
	if err := os.WriteFile(filepath.Join(dir, "agent/DEBIAN/control"), []byte(control), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := run.Do(t.Context(), run.Command{Argv: []string{"dpkg-deb", "--root-owner-group", "--build", dir + "/agent", dir + "/agent.deb"}}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "agent.deb"))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// network is a private network of throw-away servers, as a VPC is, with a
// namespace of its own on this host. Nothing in it reaches the outside.
type network struct {
	name  string
	files map[string][]byte // what the bucket has, by path
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{name: "rocca-" + testhost.Name(), files: map[string][]byte{}}
	must(t, "ip", "netns", "add", n.name)
	t.Cleanup(func() {
		if _, err := run.Do(context.Background(), run.Command{Argv: []string{"ip", "netns", "delete", n.name}}); err != nil {
			t.Error(err)
		}
	})
	n.ip(t, "link", "set", "lo", "up")
	n.ip(t, "link", "add", "vpc", "type", "bridge")
	for _, address := range []string{atRouter + "/16", atBalancer + "/16", atServices + "/16", atMetadata + "/32", atVisitor + "/32"} {
		n.ip(t, "address", "add", address, "dev", "vpc")
	}
	n.ip(t, "link", "set", "vpc", "up")
	return n
}

func must(t *testing.T, argv ...string) {
	t.Helper()
	if _, err := run.Do(t.Context(), run.Command{Argv: argv}); err != nil {
		t.Fatal(err)
	}
}

func (n *network) ip(t *testing.T, arguments ...string) {
	t.Helper()
	must(t, slices.Concat([]string{"ip", "-netns", n.name}, arguments)...)
}

// attach gives a server an interface in the network.
func (n *network) attach(t *testing.T, h *testhost.Host, address string) {
	t.Helper()
	link := "v" + hex.EncodeToString(netip.MustParseAddr(address).AsSlice())
	n.ip(t, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(h.LeaderPID()))
	n.ip(t, "link", "set", link, "master", "vpc", "up")
	h.Run("ip", "address", "add", address+"/16", "dev", "eth0")
	h.Run("ip", "link", "set", "eth0", "up")
	h.Run("ip", "route", "add", "default", "via", atRouter)
	h.Run("ip", "route", "add", atMetadata, "dev", "eth0")
}

// inside does something on a thread that lives in the network: a socket stays in
// the one that it was made in.
func inside[T any](n *network, do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	ended := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread must not be reused
		var r result
		namespace, err := os.Open("/run/netns/" + n.name)
		if err == nil {
			err = unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET)
			namespace.Close()
		}
		if r.err = err; err == nil {
			r.value, r.err = do()
		}
		ended <- r
	}()
	r := <-ended
	return r.value, r.err
}

// dial connects from an address of the network.
func (n *network) dial(ctx context.Context, from, to string) (net.Conn, error) {
	return inside(n, func() (net.Conn, error) {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
		return dialer.DialContext(ctx, "tcp4", to)
	})
}

// serve answers at port 80 of an address of the network.
func (n *network) serve(t *testing.T, address string, handler http.Handler) {
	t.Helper()
	listener, err := inside(n, func() (net.Listener, error) { return net.Listen("tcp4", address+":80") })
	if err != nil {
		t.Fatal(err)
	}
	served := httptest.NewUnstartedServer(handler)
	served.Listener.Close()
	served.Listener = listener
	served.Start()
	t.Cleanup(served.Close)
}
