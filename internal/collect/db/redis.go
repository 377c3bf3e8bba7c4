package db

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/secret"
)

// redisLimit is how long a Redis server may take for all questions.
const redisLimit = time.Second

// Redis asks Redis or Valkey servers of this machine about themselves, by
// address ("/run/redis/redis.sock" or "127.0.0.1:6379") with the password that
// Matomo has for it, which is sent only after the server was seen to want one.
// Servers on other machines are listed and not asked.
func Redis(ctx context.Context, servers map[string]secret.Secret) []facts.Redis {
	var all []facts.Redis
	for _, address := range slices.Sorted(maps.Keys(servers)) {
		r := facts.Redis{Address: address}
		if err := askRedis(ctx, &r, servers[address]); err != nil {
			r.Problem = err.Error()
		}
		all = append(all, r)
	}
	return all
}

// QueueServers are the addresses of the Redis servers that the plugin
// QueuedTracking uses, with no password: that one is not read.
func QueueServers(rows facts.Rows) map[string]secret.Secret {
	if rows.Queue == nil || rows.Queue.Backend != "redis" {
		return nil
	}
	hosts := strings.Split(rows.Settings["QueuedTracking.redisHost"], ",")
	ports := strings.Split(rows.Settings["QueuedTracking.redisPort"], ",")
	servers := map[string]secret.Secret{}
	for i, host := range hosts {
		if host = strings.TrimSpace(host); host == "" {
			host = "127.0.0.1"
		}
		port := "6379"
		if i < len(ports) && strings.TrimSpace(ports[i]) != "" {
			port = strings.TrimSpace(ports[i])
		}
		if strings.HasPrefix(host, "/") {
			servers[host] = secret.Secret{}
		} else {
			servers[net.JoinHostPort(host, port)] = secret.Secret{}
		}
	}
	return servers
}

// isLocal tells whether a server is on this machine by its address alone: a
// name is not looked up, but for "localhost".
func isLocal(address string) (network, dial string, local bool) {
	if strings.HasPrefix(address, "/") {
		return "unix", address, true
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", "", false
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	return "tcp", net.JoinHostPort(host, port), err == nil && ip.IsLoopback()
}

func askRedis(ctx context.Context, r *facts.Redis, password secret.Secret) error {
	network, dial, local := isLocal(r.Address)
	if !local {
		return errors.New("it is not on this machine, and was not asked")
	}
	ctx, cancel := context.WithTimeout(ctx, redisLimit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, dial)
	if err != nil {
		return fmt.Errorf("ask Redis: %w", err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return fmt.Errorf("ask Redis: %w", err)
	}
	c := resp{conn, bufio.NewReader(conn)}
	_, err = c.ask("PING")
	if r.Auth = isRefusal(err, "NOAUTH"); r.Auth && !password.IsZero() {
		_, err = c.ask("AUTH", password.Reveal())
	}
	if err != nil {
		if r.Auth {
			return errors.New("it asks for a password that rocca does not hold")
		}
		return fmt.Errorf("ask Redis: %w", err)
	}
	if r.Policy, err = c.setting("maxmemory-policy", "maxmemory_policy"); err != nil {
		return fmt.Errorf("ask Redis: %w", err)
	}
	protected, err := c.setting("protected-mode", "")
	r.Protected = protected == "yes"
	if err != nil {
		return fmt.Errorf("ask Redis: %w", err)
	}
	return nil
}

// resp speaks the protocol of Redis (RESP2).
type resp struct {
	w io.Writer
	r *bufio.Reader
}

// refusal is an error that the server answers with.
type refusal string

func (r refusal) Error() string { return "the server says " + strconv.Quote(string(r)) }

func isRefusal(err error, code string) bool {
	var refused refusal
	return errors.As(err, &refused) && strings.HasPrefix(string(refused), code)
}

// setting reads a setting of the server; where CONFIG is shut off, from INFO.
func (c resp) setting(name, info string) (string, error) {
	values, err := c.ask("CONFIG", "GET", name)
	if err == nil && len(values) == 2 {
		return values[1], nil
	}
	if isRefusal(err, "") && info != "" {
		values, err = c.ask("INFO", "memory")
		for line := range strings.Lines(strings.Join(values, "\n")) {
			if value, found := strings.CutPrefix(strings.TrimSpace(line), info+":"); found {
				return value, nil
			}
		}
	}
	if isRefusal(err, "") {
		return "", nil
	}
	return "", err
}

func (c resp) ask(words ...string) ([]string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(c.w, b.String()); err != nil {
		return nil, err
	}
	return c.answer(0)
}

// Caps of an answer, in bytes and in elements.
const (
	answerBytes    = 64 << 10
	answerElements = 1000
)

// answer reads one answer: an array becomes its elements, anything else one.
func (c resp) answer(depth int) ([]string, error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	text := strings.TrimRight(string(line), "\r\n")
	if text == "" || depth > 2 {
		return nil, errors.New("the answer is not Redis's")
	}
	kind, rest := text[0], text[1:]
	switch kind {
	case '+', ':':
		return []string{rest}, nil
	case '-':
		return nil, refusal(rest)
	}
	n, err := strconv.Atoi(rest)
	switch {
	case err != nil || kind != '$' && kind != '*' || n > answerBytes || kind == '*' && n > answerElements:
		return nil, errors.New("the answer is not Redis's")
	case n < 0:
		return []string{""}, nil
	case kind == '$':
		data := make([]byte, n+2)
		if _, err := io.ReadFull(c.r, data); err != nil {
			return nil, err
		}
		return []string{string(data[:n])}, nil
	}
	var all []string
	for range n {
		values, err := c.answer(depth + 1)
		if err != nil {
			return nil, err
		}
		all = append(all, values...)
	}
	return all, nil
}
