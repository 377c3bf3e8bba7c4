package twins

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"rocca/internal/demo"
	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/prove"
	"rocca/internal/run"
)

// Options say what twins are made of.
type Options struct {
	// Demo is the demo server to copy. When empty, a server is made with Like,
	// see demo.Like.
	Demo string
	Like demo.Options

	Binary string       // rocca's program file for the twins; the running program when empty
	Keep   bool         // twins are left running, to look into
	Tell   func(string) // is told what is done, one sentence at a time, never two at once; may be nil
}

// Ground is what twins stand on: a server as it was at one moment.
type Ground struct {
	tell  func(string)
	keep  bool
	still *demo.Still
}

// Outcome is what attacks came to on twins.
type Outcome struct {
	Twins  map[string][]model.Twin   // by attack: one for each protection that stands against it
	Intact map[string]model.Attacked // attacks that disturb, on a twin that lacks nothing
	Kept   []string                  // names of the twins that were left running, as demo servers
}

// Prepare takes away what killed runs left, and copies the server. A demo server
// stands still meanwhile, for some seconds: it is attacked afterwards. The error
// tells why there can be no twins. Close the ground.
func Prepare(ctx context.Context, o Options) (*Ground, error) {
	tell := telling(o.Tell)
	events := func(e demo.Event) { tell(e.Text) }
	if err := demo.Sweep(ctx, events); err != nil {
		return nil, fmt.Errorf("take away what an earlier run left: %w", err)
	}
	still, err := o.copy(ctx, events)
	if err != nil {
		return nil, fmt.Errorf("make a twin: %w", err)
	}
	return &Ground{tell: tell, keep: o.Keep, still: still}, nil
}

func (o Options) copy(ctx context.Context, events func(demo.Event)) (still *demo.Still, err error) {
	if o.Binary == "" {
		if o.Binary, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find the running rocca: %w", err)
		}
	}
	if o.Demo != "" {
		return demo.Copy(ctx, o.Demo, o.Binary, events)
	}
	o.Like.Binary, o.Like.Progress = o.Binary, events
	return demo.StillLike(ctx, o.Like)
}

// telling makes a function that may be called by several at once.
func telling(tell func(string)) func(string) {
	if tell == nil {
		return func(string) {}
	}
	var one sync.Mutex
	return func(text string) {
		one.Lock()
		defer one.Unlock()
		tell(text)
	}
}

// Close removes the copy, unless twins were kept that stand on it.
func (g *Ground) Close() error { return g.still.Remove() }

// Attack makes the attacks on twins, several at once. A twin that cannot be
// booted or attacked leaves its protections not proven; the error is for what
// ends all of it, and for a twin that stays though it should not.
func (g *Ground) Attack(ctx context.Context, attacks []prove.Attack) (Outcome, error) {
	groups := Plan(attacks)
	answers := make([]answer, len(groups))
	var working sync.WaitGroup
	free := make(chan struct{}, atOnce())
	for i, group := range groups {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		working.Go(func() {
			defer func() { <-free }()
			answers[i] = g.attack(ctx, fmt.Sprintf("twin-%d-%d", os.Getpid(), i+1), group)
		})
	}
	working.Wait()

	outcome := gather(attacks, groups, answers)
	var problems []error
	for _, a := range answers {
		problems = append(problems, a.left)
	}
	if err := context.Cause(ctx); err != nil {
		problems = append(problems, fmt.Errorf("attack the twins: %w", err))
	}
	return outcome, errors.Join(problems...)
}

// atOnce is how many twins are at work at one time: each waits now and then for
// its own services.
func atOnce() int { return runtime.NumCPU() + 1 }

// attemptLimit is how long one twin may take. It needs some seconds.
const attemptLimit = 5 * time.Minute

// attack boots one twin, attacks it, and removes it unless it is to be kept.
func (g *Ground) attack(ctx context.Context, name string, group Group) (a answer) {
	limited, cancel := context.WithTimeoutCause(ctx, attemptLimit, fmt.Errorf("it took more than %s", attemptLimit))
	defer cancel()
	down := sync.OnceValue(func() error { return demo.Down(context.WithoutCancel(ctx), name, nil) })
	defer func() {
		if a.kept == "" {
			a.left = down()
		}
	}()
	started := time.Now()
	twin, err := g.still.Clone(limited, name)
	if err != nil {
		a.err = fmt.Errorf("the twin does not come up: %w", err)
		return a
	}
	// What runs in it hears of no interruption: it ends with the twin.
	stop := context.AfterFunc(limited, func() { _ = down() })
	a.attacked, a.err = read(twin.Run(limited, run.Command{Argv: group.argv()}))
	if !stop() {
		return a // it is being removed
	}
	g.tell(fmt.Sprintf("twin %s: %s (%.1f s)", group.title(), a.said(), time.Since(started).Seconds()))
	if g.keep {
		if err := twin.Keep(); err != nil {
			g.tell("it cannot be kept: " + facts.Why(err))
			return a
		}
		a.kept = name
	}
	return a
}
