// Package pin writes into rocca-aws.yaml which machine image instances start
// from, and leaves the rest of the file as its owner wrote it.
package pin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Image writes the id of an image (AMI) into a settings file, as instance.image.
// Every other byte stays as it is. The file appears whole or not at all.
func Image(path, id string) error {
	file, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("pin the image: %w", err)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("pin the image: %w", err)
	}
	after, err := pinned(before, id)
	if err != nil {
		return fmt.Errorf("pin the image in %s: %w\nhint: write it down yourself: instance, with image: %s below it", path, err, id)
	}
	if err := replace(file, after); err != nil {
		return fmt.Errorf("pin the image: %w", err)
	}
	return nil
}

// pinned is the text with the image in it.
func pinned(text []byte, id string) ([]byte, error) {
	if strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		return nil, errors.New("it is written as JSON, which rocca does not edit")
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, err
	}
	if len(file.Docs) > 1 {
		return nil, errors.New("it is several documents")
	}
	var document ast.Node
	if len(file.Docs) == 1 {
		document = file.Docs[0].Body
	}
	e := editor{lines: strings.SplitAfter(string(text), "\n"), id: id}
	if err := e.edit(document); err != nil {
		return nil, err
	}
	after := []byte(strings.Join(e.lines, ""))
	return after, check(text, after, id)
}

// editor changes lines; positions are those of the parser, from 1.
type editor struct {
	lines []string
	id    string
}

func (e *editor) edit(document ast.Node) error {
	instance := value(document, "instance")
	if instance == nil {
		e.insert(len(e.lines)+1, "instance:\n  image: "+e.id+"\n")
		return nil
	}
	at := instance.Key.GetToken().Position.Line
	if image := value(instance.Value, "image"); image != nil {
		if image.Value.Type() == ast.NullType {
			key := image.Key.GetToken().Position
			return e.splice(key.Line, key.Column+len("image:"), 0, " "+e.id)
		}
		token := image.Value.GetToken()
		return e.splice(token.Position.Line, token.Position.Column, len(strings.TrimSpace(token.Origin)), e.id)
	}
	switch found := instance.Value.(type) {
	case *ast.NullNode:
		e.insert(at+1, "  image: "+e.id+"\n")
		return nil
	case *ast.MappingNode:
		if found.IsFlowStyle {
			start := found.Start.Position
			separator := ", "
			if len(found.Values) == 0 {
				separator = ""
			}
			return e.splice(start.Line, start.Column+1, 0, "image: "+e.id+separator)
		}
		return e.before(found.Values[0])
	case *ast.MappingValueNode:
		return e.before(found)
	}
	return fmt.Errorf("line %d: instance has no keys below it", at)
}

// value finds a key of a mapping.
func value(node ast.Node, key string) *ast.MappingValueNode {
	mapping, ok := node.(ast.MapNode)
	if !ok {
		return nil
	}
	for pair := mapping.MapRange(); pair.Next(); {
		if name, ok := pair.Key().(*ast.StringNode); ok && name.Value == key {
			return pair.KeyValue()
		}
	}
	return nil
}

// before puts the image before a key that stands below instance.
func (e *editor) before(first *ast.MappingValueNode) error {
	position := first.Key.GetToken().Position
	e.insert(position.Line, strings.Repeat(" ", position.Column-1)+"image: "+e.id+"\n")
	return nil
}

// insert puts text before a line.
func (e *editor) insert(line int, text string) {
	before, after := e.lines[:min(line-1, len(e.lines))], e.lines[min(line-1, len(e.lines)):]
	if n := len(before); n > 0 && before[n-1] != "" && !strings.HasSuffix(before[n-1], "\n") {
		before[n-1] += "\n"
	}
	e.lines = slices.Concat(before, []string{text}, after)
}

// splice replaces some bytes of a line.
func (e *editor) splice(line, column, length int, text string) error {
	if line > len(e.lines) || column-1+length > len(e.lines[line-1]) {
		return fmt.Errorf("line %d is not as it was read", line)
	}
	old := e.lines[line-1]
	e.lines[line-1] = old[:column-1] + text + old[column-1+length:]
	return nil
}

// check reads both texts: they may differ in instance.image only.
func check(before, after []byte, id string) error {
	var was, is map[string]any
	if err := errors.Join(yaml.Unmarshal(before, &was), yaml.Unmarshal(after, &is)); err != nil {
		return err
	}
	instance, _ := is["instance"].(map[string]any)
	if instance["image"] != id {
		return errors.New("it is written in a way that rocca does not edit")
	}
	delete(instance, "image")
	if old, ok := was["instance"].(map[string]any); ok {
		delete(old, "image")
	} else if len(instance) == 0 {
		delete(was, "instance")
		delete(is, "instance")
	}
	if len(was) != len(is) || len(is) > 0 && !reflect.DeepEqual(was, is) {
		return errors.New("it is written in a way that rocca does not edit")
	}
	return nil
}

// replace writes a file anew, with the mode that it has.
func replace(path string, text []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".rocca-*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(text)
	err = errors.Join(err, temporary.Chmod(info.Mode().Perm()), temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}
