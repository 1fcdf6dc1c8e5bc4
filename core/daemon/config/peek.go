package config

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Peek reads one setting of a file, a text or a list of texts, without a look
// at the rest: for commands that must work while the config is wrong elsewhere.
// It is nil where the file has no such key.
func Peek(file, key string) ([]string, error) {
	node, err := parse(file)
	if err != nil || node == nil {
		return nil, err
	}
	for part := range strings.SplitSeq(key, ".") {
		if node = child(node, part); node == nil {
			return nil, nil
		}
	}
	switch node.Kind {
	case yaml.ScalarNode:
		return []string{node.Value}, nil
	case yaml.SequenceNode:
		var values []string
		for _, item := range node.Content {
			values = append(values, item.Value)
		}
		return values, nil
	}
	return nil, nil
}

func child(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}
