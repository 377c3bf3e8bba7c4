package host

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/facts"
)

func hash(digit string) string { return strings.Repeat(digit, 64) }

func TestContainersOf(t *testing.T) {
	for groups, want := range map[string][]place{
		"0::/system.slice/docker-" + hash("a") + ".scope\n":                                                        {{"docker", hash("a")}},
		"12:pids:/docker/" + hash("a") + "\n1:name=systemd:/docker/" + hash("a") + "\n":                            {{"docker", hash("a")}},
		"0::/machine.slice/libpod-" + hash("b") + ".scope/container\n":                                             {{"podman", hash("b")}},
		"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + hash("b") + ".scope\n":             {{"podman", hash("b")}},
		"0::/machine.slice/libpod-conmon-" + hash("b") + ".scope\n":                                                nil,
		"0::/kubepods.slice/kubepods-burstable.slice/kubepods-pod1.slice/cri-containerd-" + hash("c") + ".scope\n": {{"containerd", hash("c")}},
		"0::/kubepods.slice/kubepods-pod1.slice/crio-" + hash("d") + ".scope/container\n":                          {{"crio", hash("d")}},
		"4:cpu:/kubepods/besteffort/pod1-2/" + hash("e") + "\n":                                                    {{"kubernetes", hash("e")}},
		"0::/system.slice/nerdctl-" + hash("f") + ".scope\n":                                                       {{"containerd", hash("f")}},
		"0::/lxc.payload.web-1/system.slice/nginx.service\n":                                                       {{"lxc", "web-1"}},
		"5:cpu:/lxc/web.2\n":    {{"lxc", "web.2"}},
		"0::/lxc.monitor.web\n": nil,
		"0::/docker/" + hash("1") + "/docker/" + hash("2") + "\n":                                                     {{"docker", hash("1")}, {"docker", hash("2")}},
		"0::/system.slice/docker.service\n0::/system.slice/docker-proxy.service\n0::/docker/short\n0::/init.scope\nx": nil,
	} {
		if diff := cmp.Diff(want, containersOf(groups), cmp.AllowUnexported(place{})); diff != "" {
			t.Errorf("%s: %s", groups, diff)
		}
	}
}

// dockerTree is a machine that is itself a container, with Docker in it: one
// container that is locked down, one that owns the machine, and one in a user
// namespace of its own.
func dockerTree() (tree map[string]string, running []facts.Process) {
	self := "0::/lxc.payload.machine"
	tree = map[string]string{
		"proc/1/cgroup": self + "/init.scope\n", "proc/1/ns/user": "-> user:[1]",
		"proc/1/mountinfo": "20 1 8:1 / / rw - ext4 /dev/sda rw\n21 20 0:20 / /run rw - tmpfs tmpfs rw\n22 20 0:20 /shared /srv/x rw - tmpfs tmpfs rw\n",
		"run/docker.sock":  "", "run/user/1000/podman/podman.sock": "",
		"proc/5/cgroup": self + "/system.slice/docker.service\n",
	}
	running = []facts.Process{{PID: 1, Name: "systemd", User: "root"}, {PID: 5, Parent: 1, Name: "dockerd", User: "root"}}
	add := func(pid, parent int, name, user, group, ids, bounding, space, mounts string) {
		dir := fmt.Sprintf("proc/%d/", pid)
		maps.Copy(tree, map[string]string{
			dir + "cgroup": self + group + "\n", dir + "ns/user": "-> user:[" + space + "]", dir + "mountinfo": mounts,
			dir + "status": "Name:\t" + name + "\nNSpid:\t" + ids + "\nCapBnd:\t" + bounding + "\n",
		})
		running = append(running, facts.Process{PID: pid, Parent: parent, Name: name, User: user})
	}
	locked, owner, apart := "/system.slice/docker-"+hash("a")+".scope", "/docker/"+hash("b"), "/user.slice/libpod-"+hash("c")+".scope/container"
	const none, all = "0000000000000000", "000001ffffffffff"
	overlay := "30 1 0:50 / / ro,relatime - overlay overlay rw,lowerdir=/x\n"
	add(9, 5, "sh", "www-data", locked, "9 77", none, "1", overlay) // started in it later, with a lower number
	add(40, 5, "php-fpm", "www-data", locked, "40 1", none, "1", overlay+"31 30 0:20 /systemd /run/systemd ro - tmpfs tmpfs rw\n")
	add(41, 40, "php-fpm", "www-data", locked, "41 7", none, "1", overlay)
	add(50, 5, "apache2", "root", owner, "50", all, "1", "30 1 0:51 / / rw - overlay overlay rw\n"+
		"31 30 0:20 /docker.sock /tmp/other\\040name rw - tmpfs tmpfs rw\n32 30 0:20 / /host/run ro - tmpfs tmpfs rw\n33 30 8:1 / /host rw - ext4 /dev/sda rw\n")
	add(60, 2, "nginx", "100000", apart, "60 1", all, "2", "30 1 0:52 / / rw - overlay overlay rw\n")
	return tree, running
}

func TestContainers(t *testing.T) {
	tree, running := dockerTree()
	got, err := containers(plant(t, tree), running)
	if err != nil {
		t.Fatal(err)
	}
	want := []facts.Container{
		{ID: hash("a"), Runtime: "docker", PID: 40, User: "www-data", Programs: []string{"php-fpm", "sh"}, ReadOnly: true},
		{
			ID: hash("b"), Runtime: "docker", PID: 50, User: "root", Programs: []string{"apache2"}, Capabilities: capabilityNames,
			Sockets: []string{"/host/run/docker.sock", "/host/run/user/1000/podman/podman.sock", "/tmp/other name"},
		},
		{ID: hash("c"), Runtime: "podman", PID: 60, User: "100000", Programs: []string{"nginx"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestContainersUnseen: what cannot be looked at is an error along with the
// rest, but for a container that has ended.
func TestContainersUnseen(t *testing.T) {
	tree, running := dockerTree()
	delete(tree, "proc/60/mountinfo")
	tree["proc/50/mountinfo"] = "nonsense\n"
	got, err := containers(plant(t, tree), running)
	if len(got) != 3 || err == nil || !strings.Contains(err.Error(), "container docker bbbbbbbbbbbb: ") || strings.Contains(err.Error(), "podman") {
		t.Errorf("%+v %v", got, err)
	}
}

func TestManyContainers(t *testing.T) {
	tree := map[string]string{"proc/1/ns/user": "-> user:[1]"}
	var running []facts.Process
	for i := range containerLimit + 1 {
		pid := 100 + i
		tree[fmt.Sprintf("proc/%d/cgroup", pid)] = fmt.Sprintf("0::/lxc/c%d\n", i)
		running = append(running, facts.Process{PID: pid, Name: "init"})
	}
	got, err := containers(plant(t, tree), running)
	if len(got) != containerLimit || err == nil || !strings.Contains(err.Error(), "there are 201") {
		t.Errorf("%d containers, %v", len(got), err)
	}
}

// TestDoorOfTheDeepestMount: a socket is on the last file system that was
// mounted above it.
func TestDoorOfTheDeepestMount(t *testing.T) {
	root := plant(t, map[string]string{
		"run/podman/podman.sock": "",
		"proc/1/mountinfo":       "1 0 8:1 / / rw - ext4 x rw\n2 1 0:1 / /run rw - tmpfs x rw\n3 1 0:2 /sub /run/podman rw - tmpfs x rw\n4 1 0:3 / /run/pod rw - tmpfs x rw\n",
	})
	if got := runtimeSockets(root); !slices.Equal(got, []door{{"0:2", "/sub/podman.sock"}}) {
		t.Errorf("%+v", got)
	}
}
