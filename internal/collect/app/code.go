package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
)

// source is a PHP file below the root of the code.
type source struct {
	area   string // "core", "plugins" ...; "other" for what is in none
	plugin string // in area "plugins"
	path   string // relative
	loads  bool   // Matomo loads from there, a plugin when it is active
}

// areas are the directories whose code is counted on its own, and whether
// Matomo loads code from there.
var areas = map[string]bool{"core": true, "libs": true, "vendor": true, "plugins": true, "misc": false, "tests": false, "node_modules": false}

// countLines counts the lines of the PHP files by area.
func countLines(ctx context.Context, root string, active map[string]bool) (map[string]facts.Lines, error) {
	counts := map[string]facts.Lines{}
	err := eachSource(ctx, root, ".", func(s source, lines int) {
		count := counts[s.area]
		count.Files++
		count.Lines += lines
		if s.loads && (s.plugin == "" || active[s.plugin]) {
			count.Reachable += lines
		}
		counts[s.area] = count
	})
	return counts, err
}

// eachSource hands out the PHP files below a directory with their number of
// lines, one at a time and in no order.
func eachSource(ctx context.Context, root, below string, visit func(source, int)) error {
	top, err := os.OpenRoot(root)
	if err != nil {
		return fmt.Errorf("count lines of code: %w", err)
	}
	defer top.Close()
	paths := make(chan string, 256)
	var counting sync.WaitGroup
	var one sync.Mutex
	for range 4 {
		counting.Go(func() {
			buffer := make([]byte, 64<<10)
			for path := range paths {
				lines, err := lines(top, path, buffer)
				if err != nil {
					continue // it vanished, or is not a file
				}
				one.Lock()
				visit(classify(path), lines)
				one.Unlock()
			}
		})
	}
	err = fs.WalkDir(top.FS(), below, func(path string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && path == below:
			return err
		case err != nil:
			return nil
		case d.Type().IsRegular() && strings.HasSuffix(path, ".php"):
			paths <- path
		}
		return nil
	})
	close(paths)
	counting.Wait()
	if err != nil {
		return fmt.Errorf("count lines of code below %s: %w", filepath.Join(root, below), err)
	}
	return nil
}

func lines(top *os.Root, path string, buffer []byte) (int, error) {
	file, err := top.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	count, ended := 0, true
	for {
		n, err := file.Read(buffer)
		count += bytes.Count(buffer[:n], []byte("\n"))
		if n > 0 {
			ended = bytes.HasSuffix(buffer[:n], []byte("\n"))
		}
		if errors.Is(err, io.EOF) {
			if !ended {
				count++
			}
			return count, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

func classify(path string) source {
	s := source{area: "other", path: path, loads: true}
	parts := strings.Split(path, "/")
	if loads, known := areas[parts[0]]; known && len(parts) > 1 {
		s.area, s.loads = parts[0], loads
	}
	if s.area == "plugins" && len(parts) > 2 {
		s.plugin = parts[1]
	}
	return s
}
