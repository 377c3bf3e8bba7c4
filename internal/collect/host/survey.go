package host

import (
	"context"
	"errors"
	"sync"
	"time"

	"rocca/internal/facts"
	"rocca/internal/secret"
)

// shortestSecret is the length from which a known secret is looked for: shorter
// ones are found everywhere.
const shortestSecret = 6

// Scope is what Survey looks at.
type Scope struct {
	Root Root // "/" when empty; below another root nothing that runs is asked

	// Secrets are values that are looked for in environments. They are masked
	// wherever they would be shown.
	Secrets []secret.Secret
}

// Survey looks at all of the machine itself for an audit: accounts, software,
// kernel, processes, sockets, firewall, units, jobs, SSH and how logs are kept.
// Sections tells of each of them whether it was seen; what was seen of one that
// failed is there too. The files of Logs are left to SampleLogs, for which more
// must be known.
func Survey(ctx context.Context, scope Scope) facts.Server {
	root := scope.Root
	if root == "" {
		root = "/"
	}
	var secrets []string
	for _, s := range scope.Secrets {
		if len(s.Reveal()) >= shortestSecret {
			secrets = append(secrets, s.Reveal())
		}
	}
	s := facts.Server{Sections: map[facts.Section]string{}, Observed: time.Now()}

	// What several sections need is read once, by whoever comes first.
	named := sync.OnceValues(func() (names, error) { return rootNames(root) })
	have := sync.OnceValues(func() (installed, error) { return dpkgStatus(root) })
	units := sync.OnceValues(func() (map[string]facts.Unit, error) { return services(ctx, root, secrets) })
	running := sync.OnceValues(func() ([]facts.Process, error) {
		n, err := named()
		if err != nil {
			return nil, err
		}
		return processes(root, n, secrets)
	})

	sections := map[facts.Section]func() error{
		facts.Services: func() (err error) {
			s.Units, err = units()
			return err
		},
		facts.Running: func() error {
			var err, problem error
			s.Processes, err = running()
			s.Containers, problem = containers(root, s.Processes)
			return errors.Join(err, problem)
		},
		facts.Accounts: func() error {
			n, err := named()
			if err != nil {
				return err
			}
			var problem error
			s.Users, s.Groups, err = accounts(root, n)
			s.Sudo, problem = sudo(root, n)
			return errors.Join(err, problem)
		},
		facts.Software: func() (err error) {
			s.OS, s.Packages, s.Apt, err = software(root, have)
			return err
		},
		facts.KernelOf: func() error {
			var problems [4]error
			s.Kernel, problems[0] = kernel(root)
			s.Mounts, problems[1] = mounts(root)
			s.Memory, problems[2] = memory(root)
			known, _ := units() // only names who keeps the time
			s.Kernel.Clock, problems[3] = clock(root, known)
			return errors.Join(problems[:]...)
		},
		facts.Network: func() error {
			found, err := internetSockets(root, "tcp", "tcp6", "udp", "udp6")
			if err != nil {
				return err
			}
			holders, err := socketHolders(root)
			if err != nil {
				return err
			}
			processes, problem := running()
			known, unitProblem := units()
			s.Listeners = held(found, holders)
			s.Sockets, err = unixSockets(root, holders, processes)
			owner := newOwners(processes, known)
			for i, l := range s.Listeners {
				s.Listeners[i].Unit = owner.ofListener(l)
			}
			for i, socket := range s.Sockets {
				s.Sockets[i].Unit = owner.ofSocket(socket)
			}
			return errors.Join(err, problem, unitProblem)
		},
		facts.Filter: func() error {
			n, problem := named()
			known, unitProblem := units()
			var err error
			s.Firewall, err = firewall(ctx, root, n, known)
			return errors.Join(err, problem, unitProblem)
		},
		facts.Scheduled: func() (err error) {
			s.Jobs, err = jobs(root)
			return err
		},
		facts.Remote: func() error {
			n, err := named()
			if err != nil {
				return err
			}
			var problems [4]error
			users, _, _ := accounts(root, n) // who is locked does not matter here
			state, problem := have()
			known, unitProblem := units()
			problems[0], problems[1] = problem, unitProblem
			s.SSH, problems[2] = sshServer(ctx, root, users, state.packages, known)
			s.Bans, problems[3] = bans(ctx, root, s.SSH, known)
			return errors.Join(problems[:]...)
		},
		facts.Logging: func() error {
			known, problem := units()
			var err error
			s.Logs, err = logs(root, known)
			return errors.Join(err, problem)
		},
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	for section, look := range sections {
		group.Go(func() {
			err := look()
			mu.Lock()
			defer mu.Unlock()
			s.Sections[section] = facts.Why(err)
		})
	}
	group.Wait()
	return s
}
