package handover

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"rocca/internal/aws/awstest"
)

// attached makes a server with a disk, and a mover.
func attached(t *testing.T, cloud *awstest.Cloud) (Mover, Disk) {
	t.Helper()
	volume, server := cloud.Disk(t)
	return New(cloud.Config(t)), Disk{Volume: volume, Server: server, Device: "/dev/sdf"}
}

func (m Mover) state(t *testing.T, server string) types.InstanceStateName {
	t.Helper()
	answer, err := m.cloud.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{server}})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Reservations[0].Instances[0].State.Name
}

func TestReleaseAndReturn(t *testing.T) {
	m, want := attached(t, awstest.Start(t))
	got, err := m.Release(t.Context(), want.Volume)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("released %+v, want %+v", got, want)
	}
	if has, err := m.find(t.Context(), want.Volume); err != nil || has.Server != "" {
		t.Errorf("after the release %+v has it (%v)", has, err)
	}
	if state := m.state(t, want.Server); state != types.InstanceStateNameStopped {
		t.Errorf("the old server is %s", state)
	}
	if again, err := m.Release(t.Context(), want.Volume); err != nil || again != (Disk{}) {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	for range 2 { // the second time all is as it was
		if err := m.Return(t.Context(), got); err != nil {
			t.Fatal(err)
		}
	}
	if has, err := m.find(t.Context(), want.Volume); err != nil || has != want {
		t.Errorf("after the return %+v has it (%v)", has, err)
	}
	if state := m.state(t, want.Server); state != types.InstanceStateNameRunning {
		t.Errorf("the old server is %s", state)
	}
}

// A new server that has the disk keeps it: a rollback must not take it away.
func TestReturnOfWhatAnotherHas(t *testing.T) {
	m, disk := attached(t, awstest.Start(t))
	disk.Server = "i-0123456789abcdef0"
	if err := m.Return(t.Context(), disk); err == nil || !strings.Contains(err.Error(), "has it") {
		t.Errorf("got %v", err)
	}
}

// The disk is not taken off a server that still runs.
func TestInterruptedWhileItStops(t *testing.T) {
	cloud := awstest.Start(t)
	m, disk := attached(t, cloud)
	cloud.Answer("ec2", "StopInstances", awstest.Say(200, `<StopInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><instancesSet/></StopInstancesResponse>`))
	interrupted := errors.New("interrupted")
	waits := 0
	m.wait = func(context.Context, time.Duration) error {
		if waits++; waits < 3 {
			return nil
		}
		return interrupted
	}
	if _, err := m.Release(t.Context(), disk.Volume); !errors.Is(err, interrupted) {
		t.Errorf("got %v", err)
	}
	if has, err := m.find(t.Context(), disk.Volume); err != nil || has != disk {
		t.Errorf("%+v has it (%v)", has, err)
	}
}
