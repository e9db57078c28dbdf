package document

import (
	"errors"

	"go.yaml.in/yaml/v3"
)

var (
	errNoValue = errors.New("has no value: write one, or remove the key")
	errTagged  = errors.New("has a YAML tag: remove the exclamation mark and the word behind it")
	errNoText  = errors.New("must be a single value")
	errBraces  = errors.New("must be text: put quotes around the part in braces")
)

// scalar returns the text of a single value as it is written, without quotes.
func scalar(n *yaml.Node) (string, error) {
	n = Resolve(n)
	switch {
	case isNull(n):
		return "", errNoValue
	case n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0:
		return "", errBraces // {pid} is a mapping in YAML
	case n.Kind != yaml.ScalarNode:
		return "", errNoText
	case n.Style&yaml.TaggedStyle != 0:
		return "", errTagged
	}
	return n.Value, nil
}

// Resolve follows an alias. An alias never stands for another alias.
func Resolve(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// isNull reports whether a node is missing or null.
func isNull(n *yaml.Node) bool {
	return n == nil || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}
