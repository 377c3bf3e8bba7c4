package stack

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Load reads a template in YAML. It is stricter than CloudFormation: a key set
// twice, a tag that it does not know, a reference to nothing and a resource
// without words for people are errors, each with its line.
func Load(text []byte) (Template, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return Template{}, err
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return Template{}, errors.New("a template is one document")
	}
	l := loader{}
	t := l.template(file.Docs[0].Body)
	for _, r := range l.references {
		if _, exists := t.Resources[r.to]; !exists {
			l.fail(r.at, "refers to %s, which is no resource of this template", r.to)
		}
	}
	return t, errors.Join(l.problems...)
}

type loader struct {
	problems   []error
	references []reference
}

type reference struct {
	at ast.Node
	to string // logical id
}

func (l *loader) fail(at ast.Node, format string, args ...any) {
	line := 0
	if token := at.GetToken(); token != nil && token.Position != nil {
		line = token.Position.Line
	}
	l.problems = append(l.problems, fmt.Errorf("line %d: "+format, append([]any{line}, args...)...))
}

// entry is one key of a mapping.
type entry struct {
	key   string
	at    ast.Node
	value ast.Node
}

// entries of a mapping, in order.
func (l *loader) entries(node ast.Node) []entry {
	mapping, ok := node.(ast.MapNode)
	if !ok {
		l.fail(node, "must be keys with values")
		return nil
	}
	var all []entry
	for pair := mapping.MapRange(); pair.Next(); {
		key := pair.Key().String()
		if text, ok := pair.Key().(*ast.StringNode); ok {
			key = text.Value
		}
		all = append(all, entry{key, pair.Key(), pair.Value()})
	}
	return all
}

func (l *loader) template(node ast.Node) Template {
	t := Template{Resources: map[string]Resource{}, Outputs: map[string]Output{}}
	for _, top := range l.entries(node) {
		switch top.key {
		case "Description":
			t.Description = l.text(top.value)
		case "Resources":
			for _, e := range l.entries(top.value) {
				t.Resources[e.key] = l.resource(e)
			}
		case "Outputs":
			if top.value.Type() == ast.NullType {
				continue
			}
			for _, e := range l.entries(top.value) {
				t.Outputs[e.key] = l.output(e)
			}
		default:
			l.fail(top.at, "%s: a template has Description, Resources and Outputs", top.key)
		}
	}
	return t
}

// logicalID as CloudFormation wants it.
var logicalID = regexp.MustCompile(`^[A-Za-z0-9]{1,255}$`)

func (l *loader) resource(named entry) Resource {
	var r Resource
	if !logicalID.MatchString(named.key) {
		l.fail(named.at, "%s: a logical id has letters and digits only", named.key)
	}
	for _, e := range l.entries(named.value) {
		switch e.key {
		case "Type":
			r.Type = l.text(e.value)
		case "Metadata":
			for _, m := range l.entries(e.value) {
				if m.key != "Is" {
					l.fail(m.at, "%s: Metadata has Is only", m.key)
				}
				r.Is = l.text(m.value)
			}
		case "Properties":
			r.Properties = l.object(e.value)
		case "DependsOn":
			r.DependsOn = l.dependsOn(e.value)
		case "DeletionPolicy":
			r.DeletionPolicy = l.text(e.value)
		case "UpdateReplacePolicy":
			r.UpdateReplacePolicy = l.text(e.value)
		case "CreationPolicy":
			r.CreationPolicy = l.object(e.value)
		case "UpdatePolicy":
			r.UpdatePolicy = l.object(e.value)
		default:
			l.fail(e.at, "%s is no attribute of a resource", e.key)
		}
	}
	if r.Type == "" || r.Is == "" {
		l.fail(named.at, "%s needs a Type, and Metadata with Is: what it is in words for people", named.key)
	}
	return r
}

func (l *loader) output(named entry) Output {
	var o Output
	for _, e := range l.entries(named.value) {
		switch e.key {
		case "Is":
			o.Is = l.text(e.value)
		case "Value":
			o.Value = l.value(e.value)
		default:
			l.fail(e.at, "%s: an output has Is and Value", e.key)
		}
	}
	if o.Is == "" || o.Value == nil {
		l.fail(named.at, "the output %s needs Is and Value", named.key)
	}
	return o
}

func (l *loader) dependsOn(node ast.Node) []string {
	nodes := []ast.Node{node}
	if sequence, ok := node.(*ast.SequenceNode); ok {
		nodes = sequence.Values
	}
	var all []string
	for _, n := range nodes {
		to := l.text(n)
		l.references = append(l.references, reference{n, to})
		all = append(all, to)
	}
	return all
}

func (l *loader) object(node ast.Node) map[string]any {
	object := map[string]any{}
	for _, e := range l.entries(node) {
		object[e.key] = l.value(e.value)
	}
	return object
}

func (l *loader) text(node ast.Node) string {
	text, ok := l.value(node).(string)
	if !ok {
		l.fail(node, "must be text")
	}
	return text
}

// value reads anything that a property can be: text, numbers, truth, lists,
// objects and references.
func (l *loader) value(node ast.Node) any {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	case *ast.IntegerNode:
		return n.Value
	case *ast.FloatNode:
		return n.Value
	case *ast.BoolNode:
		return n.Value
	case *ast.SequenceNode:
		list := make([]any, len(n.Values))
		for i, item := range n.Values {
			list[i] = l.value(item)
		}
		return list
	case ast.MapNode:
		return l.object(node)
	case *ast.TagNode:
		return l.reference(n)
	}
	l.fail(node, "a %s is not allowed here", strings.ToLower(node.Type().String()))
	return nil
}

// reference reads !Ref, !GetAtt and !Sub.
func (l *loader) reference(tag *ast.TagNode) any {
	text, ok := l.value(tag.Value).(string)
	if !ok {
		l.fail(tag, "%s needs text", tag.Start.Value)
		return nil
	}
	refer := func(to string) {
		if !strings.HasPrefix(to, "AWS::") {
			l.references = append(l.references, reference{tag, to})
		}
	}
	switch tag.Start.Value {
	case "!Ref":
		refer(text)
		return map[string]any{"Ref": text}
	case "!GetAtt":
		resource, attribute, found := strings.Cut(text, ".")
		if !found {
			l.fail(tag, "!GetAtt needs Resource.Attribute, not %s", text)
		}
		refer(resource)
		return map[string]any{"Fn::GetAtt": []any{resource, attribute}}
	case "!Sub":
		names := substitutes(text)
		if len(names) == 0 {
			l.fail(tag, "!Sub substitutes nothing in %q", text)
		}
		for _, name := range names {
			resource, _, _ := strings.Cut(name, ".")
			refer(resource)
		}
		return map[string]any{"Fn::Sub": text}
	}
	l.fail(tag, "%s is not known: !Ref, !GetAtt and !Sub are", tag.Start.Value)
	return nil
}

var substitute = regexp.MustCompile(`\$\{([^!}][^}]*)\}`)

// substitutes are the names in ${}, but those escaped by ${!}.
func substitutes(text string) []string {
	names := map[string]bool{}
	for _, match := range substitute.FindAllStringSubmatch(text, -1) {
		names[match[1]] = true
	}
	return slices.Sorted(maps.Keys(names))
}
