package cloud

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/facts"
)

// observer is one observation. What several looks need is asked for once.
type observer struct {
	Options
	cloud   client.Config
	account string

	networks  once[[]facts.CloudNetwork]
	addresses once[[]address]
	instances once[[]facts.Instance]
	volumes   once[[]facts.Volume]
	scaling   once[[]scalingGroup]
	templates once[[]facts.LaunchTemplate]
	balancers once[[]balancer]       // of the whole region
	own       once[[]facts.Balancer] // of them
	databases once[[]facts.CloudDatabase]
	trails    once[[]facts.Trail]
	buckets   once[[]bucket]
	stacks    once[[]facts.CloudStack]
}

func newObserver(c client.Config, o Options, account string) *observer {
	b := &observer{Options: o, cloud: c, account: account}
	b.networks.ask = b.askNetworks
	b.addresses.ask = b.askAddresses
	b.instances.ask = b.askInstances
	b.volumes.ask = b.askVolumes
	b.scaling.ask = b.askScalingGroups
	b.templates.ask = b.askTemplates
	b.balancers.ask = b.askBalancers
	b.own.ask = b.ownBalancers
	b.databases.ask = b.askDatabases
	b.trails.ask = b.askTrails
	b.buckets.ask = b.askBuckets
	b.stacks.ask = b.askStacks
	return b
}

// once asks when the first look needs it; the others wait.
type once[T any] struct {
	ask   func(context.Context) (T, error)
	do    sync.Once
	value T
	err   error
}

func (o *once[T]) get(ctx context.Context) (T, error) {
	o.do.Do(func() { o.value, o.err = o.ask(ctx) })
	return o.value, o.err
}

// all tells whether everything of the region is looked at.
func (o *observer) all() bool { return o.Deployment == "" }

// ours tells whether a resource belongs to what is looked at, by its tags.
func (o *observer) ours(t facts.Tags) bool { return o.all() || t.Deployment() == o.Deployment }

// place tells which VPCs belong to it.
func (o *observer) place(ctx context.Context) (func(vpc string) bool, error) {
	if o.all() {
		return func(string) bool { return true }, nil
	}
	networks, err := o.networks.get(ctx)
	if err != nil {
		return nil, err
	}
	own := map[string]bool{}
	for _, n := range networks {
		own[n.ID] = o.ours(n.Tags)
	}
	return func(vpc string) bool { return own[vpc] }, nil
}

// ids is the set of what a list is named by.
func ids[T any](list []T, id func(T) string) map[string]bool {
	set := map[string]bool{}
	for _, one := range list {
		set[id(one)] = true
	}
	delete(set, "")
	return set
}

// pages asks until there is no next page. ask is given the mark of the page,
// which is empty for the first, and gives that of the next.
func pages(ask func(mark string) (next string, err error)) error {
	for mark := ""; ; {
		next, err := ask(mark)
		if err != nil || next == "" {
			return err
		}
		if next == mark {
			return errors.New("the same page comes again and again")
		}
		mark = next
	}
}

// marked puts the mark of a page into a question in JSON.
func marked(in client.Fields, name, mark string) client.Fields {
	if mark != "" {
		in[name] = mark
	}
	return in
}

// each does something with every entry of a list, at the same time. An entry
// that has gone meanwhile is left out of the list that it gives.
func each[T any](list []T, do func(*T) error) ([]T, error) {
	return eachOfOurs(list, func(T) bool { return false }, do)
}

// eachOfOurs is each for a list that others' entries are in, too. Such an entry
// may be closed to us by its own policy, and is left out then; but when no entry
// can be looked at, it is we who are not allowed to.
func eachOfOurs[T any](list []T, others func(T) bool, do func(*T) error) ([]T, error) {
	failed := make([]error, len(list))
	var running sync.WaitGroup
	places := make(chan struct{}, 4*atOnce) // of goroutines; calls are counted elsewhere
	for i := range list {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			failed[i] = do(&list[i])
		})
	}
	running.Wait()
	var there []T
	allowed := slices.ContainsFunc(failed, func(err error) bool { return !client.Denied(err) })
	for i, err := range failed {
		switch {
		case err == nil:
			there = append(there, list[i])
		case gone(err), allowed && client.Denied(err) && others(list[i]):
		default:
			return nil, err
		}
	}
	return there, nil
}

// gone tells whether there is no such thing, or not any more.
func gone(err error) bool {
	code := client.Code(err)
	return strings.Contains(code, "NotFound") || strings.HasPrefix(code, "NoSuch") || strings.Contains(code, "Nonexistent")
}

// sorted puts a list into an order that does not change from one time to the
// next.
func sorted[T any](list []T, by func(T) string) []T {
	// Of slices.SortStableFunc the program would have one for each T.
	sort.SliceStable(list, func(i, j int) bool { return by(list[i]) < by(list[j]) })
	return list
}

// last is what stands after the last separator, such as the name in an ARN.
func last(text, separator string) string {
	return text[strings.LastIndex(text, separator)+len(separator):]
}

// moment is a time as AWS writes it: RFC 3339 in XML, seconds since 1970 in
// JSON, and nothing where there is none.
type moment struct{ time.Time }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *moment) UnmarshalText(text []byte) error {
	said := strings.TrimSpace(string(text))
	if said == "" || said == "N/A" || said == "no_information" || said == "not_supported" {
		m.Time = time.Time{}
		return nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05.999999999", time.DateTime} {
		if t, err := time.Parse(form, said); err == nil {
			m.Time = t.UTC()
			return nil
		}
	}
	return fmt.Errorf("read a time: %q is none", said)
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *moment) UnmarshalJSON(text []byte) error {
	said := string(text)
	if said == "null" {
		return nil
	}
	if seconds, err := strconv.ParseFloat(said, 64); err == nil {
		whole, part := math.Modf(seconds)
		m.Time = time.Unix(int64(whole), int64(part*1e3)*1e6).UTC()
		return nil
	}
	return m.UnmarshalText([]byte(strings.Trim(said, `"`)))
}

// ec2Tags are tags as EC2 writes them.
type ec2Tags []struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

func (list ec2Tags) tags() facts.Tags {
	t := make(tagList, len(list))
	for i, one := range list {
		t[i].Key, t[i].Value = one.Key, one.Value
	}
	return t.tags()
}

// tagList are tags as the other services write them, in XML or JSON.
type tagList []struct{ Key, Value string }

func (list tagList) tags() facts.Tags {
	if len(list) == 0 {
		return nil
	}
	t := facts.Tags{}
	for _, one := range list {
		t[one.Key] = one.Value
	}
	return t
}
