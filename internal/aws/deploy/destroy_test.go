package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/aws/cfntest"
	"rocca/internal/aws/stack"
)

// removals plans the end of the shop.
func (s *shop) removals(keepData bool) []Removal {
	s.t.Helper()
	set, err := s.render(stack.Known{})
	if err != nil {
		s.t.Fatal(err)
	}
	removals, err := s.Removals(s.t.Context(), set, keepData)
	if err != nil {
		s.t.Fatal(err)
	}
	return removals
}

func TestDestroyKeepsData(t *testing.T) {
	s := newShop(t)
	s.up()
	removals := s.removals(true)
	if w := s.Writes(); w != nil {
		t.Errorf("planning called %v", w)
	}
	var shown bytes.Buffer
	ShowRemovals(&shown, removals)
	golden(t, "destroy-plan.golden", shown.Bytes())
	left, err := s.Destroy(t.Context(), removals, true, func(_ context.Context, bucket string) error {
		t.Errorf("%s was emptied", bucket)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "destroy.golden", s.told.Bytes())
	s.is("", "", "")
	kept := []string{}
	for _, l := range left {
		kept = append(kept, l.What)
	}
	if diff := cmp.Diff([]string{"secret of the application", "key of everything that is stored"}, kept); diff != "" {
		t.Error(diff)
	}
	var deleted []string
	for _, call := range s.Calls() {
		if call.Action == "DeleteStack" {
			deleted = append(deleted, call.Stack[strings.LastIndex(call.Stack, "shop-"):strings.LastIndex(call.Stack, "/")])
		}
	}
	if diff := cmp.Diff([]string{"shop-app", "shop-data", "shop-base"}, deleted); diff != "" {
		t.Error(diff)
	}
}

func TestDestroyDeletesDataWhenTold(t *testing.T) {
	s := newShop(t)
	s.up()
	removals := s.removals(false)
	var lost []string
	for _, r := range removals {
		for _, doom := range r.Resources {
			if doom.Fate != Deleted {
				t.Errorf("%s is %s", doom.ID, doom.Fate)
			}
			if doom.Loses != "" {
				lost = append(lost, doom.ID)
			}
		}
	}
	if diff := cmp.Diff([]string{"Database", "Secret", "Volume", "Key"}, lost); diff != "" {
		t.Error(diff)
	}
	left, err := s.Destroy(t.Context(), removals, false, nil)
	if err != nil || left != nil {
		t.Fatalf("left %v, %v", left, err)
	}
	s.is("", "", "")
}

func TestDestroyTriesAgain(t *testing.T) {
	s := newShop(t)
	s.up()
	// The app stack needs no preparation: the first operation is its deletion.
	s.Script("shop-app", cfntest.Story{DeleteFails: map[string]string{"Servers": "The network interface is in use"}})
	left, err := s.Destroy(t.Context(), s.removals(true), true, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.is("", "", "")
	if slices.ContainsFunc(left, func(l Left) bool { return l.What == "web servers" }) {
		t.Errorf("left: %v", left)
	}
}

func TestDestroyStopsAtWhatResists(t *testing.T) {
	s := newShop(t)
	s.up()
	for range mostDeletions {
		s.Script("shop-app", cfntest.Story{DeleteFails: map[string]string{"Servers": "resource sg-1 has a dependent object"}})
	}
	_, err := s.Destroy(t.Context(), s.removals(true), true, nil)
	var broken *BrokenError
	if !errors.As(err, &broken) {
		t.Fatalf("%#v", err)
	}
	says(t, err, "web servers (Servers): resource sg-1 has a dependent object", "hint: something that rocca did not make still uses it", "hint: mend the cause, then the same command goes on")
	s.is(created, created, "DELETE_FAILED")
	// The same call goes on.
	if _, err := s.Destroy(t.Context(), s.removals(true), true, nil); err != nil {
		t.Fatal(err)
	}
	s.is("", "", "")
}

func TestDestroyLeavesDataThatResists(t *testing.T) {
	s := newShop(t)
	s.up()
	s.Script("shop-data", cfntest.Story{}) // its preparation
	for range mostDeletions {
		s.Script("shop-data", cfntest.Story{DeleteFails: map[string]string{"Volume": "the volume is attached"}})
	}
	left, err := s.Destroy(t.Context(), s.removals(false), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 || left[0].What != "volume of the files" || !strings.Contains(left[0].Why, "the volume is attached") {
		t.Errorf("left: %v", left)
	}
	s.is("", "", "")
}

func TestDestroyGoesOnAfterAnInterrupt(t *testing.T) {
	s := newShop(t)
	s.up()
	removals := s.removals(true)
	s.Script("shop-app", cfntest.Story{Takes: map[string]time.Duration{"Servers": 10 * time.Minute}})
	ctx, interrupt := context.WithCancelCause(t.Context())
	s.Server.After(2*time.Minute, func() { interrupt(errors.New("interrupted (interrupt)")) })
	_, err := s.Destroy(ctx, removals, true, nil)
	says(t, err, "interrupted (interrupt)", "hint: CloudFormation goes on by itself; the same command goes on with it")
	s.is(created, created, "DELETE_IN_PROGRESS")
	if _, err := s.Destroy(t.Context(), s.removals(true), true, nil); err != nil {
		t.Fatal(err)
	}
	s.is("", "", "")
}

func TestDestroyOfNothing(t *testing.T) {
	s := newShop(t)
	if removals := s.removals(true); removals != nil {
		t.Errorf("%v", removals)
	}
	s.plan() // leaves a place for the base stack
	if _, err := s.Destroy(t.Context(), s.removals(true), true, nil); err != nil {
		t.Fatal(err)
	}
	s.is("", "", "")
}

func TestAttachToTheEndOfADeployment(t *testing.T) {
	s := newShop(t)
	s.up()
	s.Script("shop-app", cfntest.Story{Takes: map[string]time.Duration{"Servers": 10 * time.Minute}})
	ctx, interrupt := context.WithCancelCause(t.Context())
	s.Server.After(time.Minute, func() { interrupt(errors.New("interrupted")) })
	_, err := s.Destroy(ctx, s.removals(true), true, nil)
	says(t, err, "interrupted")
	set, _ := s.render(stack.Known{})
	if followed, err := s.Attach(t.Context(), set); !followed || !errors.Is(err, ErrDestroyed) {
		t.Errorf("followed: %v, %v", followed, err)
	}
}

func TestPrepared(t *testing.T) {
	const body = `{"Resources":{
		"Database":{"Type":"AWS::RDS::DBInstance","DeletionPolicy":"Retain","Properties":{"DeletionProtection":true}},
		"Key":{"Type":"AWS::KMS::Key","Properties":{"KeyPolicy":{"a":"<&>"}}},
		"Balancer":{"Type":"AWS::ElasticLoadBalancingV2::LoadBalancer","Properties":{"LoadBalancerAttributes":[{"Key":"deletion_protection.enabled","Value":"true"}]}},
		"Address":{"Type":"AWS::EC2::EIP","DeletionPolicy":"Retain"},
		"Logs":{"Type":"AWS::Logs::LogGroup","DeletionPolicy":"Retain"},
		"Bucket":{"Type":"AWS::S3::Bucket","DeletionPolicy":"RetainExceptOnCreate"},
		"Topic":{"Type":"AWS::SNS::Topic"}}}`
	for _, c := range []struct {
		keepData bool
		policies map[string]string // by logical id, of those that change
	}{
		{true, map[string]string{"Database": "Snapshot", "Key": "Retain", "Balancer": "", "Address": "Delete"}},
		{false, map[string]string{"Database": "Delete", "Balancer": "", "Address": "Delete", "Logs": "Delete", "Bucket": "Delete"}},
	} {
		ready, changed, err := prepared([]byte(body), c.keepData)
		if err != nil || !changed {
			t.Fatalf("changed: %v, %v", changed, err)
		}
		var template struct {
			Resources map[string]struct {
				DeletionPolicy string
				Metadata       any
				Properties     map[string]any
			}
		}
		if err := json.Unmarshal(ready, &template); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for id, r := range template.Resources {
			if r.Metadata != nil {
				got[id] = r.DeletionPolicy
			}
		}
		if diff := cmp.Diff(c.policies, got); diff != "" {
			t.Errorf("keep data: %v\n%s", c.keepData, diff)
		}
		if template.Resources["Database"].Properties["DeletionProtection"] != false {
			t.Error("the database still refuses to go")
		}
		if !strings.Contains(string(ready), `"Value":"false"`) || !strings.Contains(string(ready), "<&>") {
			t.Errorf("%s", ready)
		}
		if _, again, err := prepared(ready, c.keepData); again || err != nil {
			t.Errorf("what is prepared would be prepared again: %v, %v", again, err)
		}
	}
}
