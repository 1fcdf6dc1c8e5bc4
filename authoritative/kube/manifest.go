package kube

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// readManifest reads the objects of a YAML or JSON file that records come from:
// documents between lines of ---, Lists taken apart. Objects of other kinds are let
// pass. Errors begin with the line of the document they are in.
func readManifest(text []byte) (objects []metav1.Object, err error) {
	for _, d := range documents(text) {
		if len(bytes.TrimSpace(d.text)) == 0 {
			continue
		}
		raw, err := yaml.YAMLToJSON(d.text)
		if err == nil {
			objects, err = appendObjects(objects, raw)
		}
		if err != nil {
			return nil, fmt.Errorf("%d: %w", d.line, err)
		}
	}
	return objects, nil
}

type document struct {
	line int // on which it begins, from 1
	text []byte
}

func documents(text []byte) []document {
	all := []document{{line: 1}}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if mark := bytes.TrimRight(line, " \t\r\n"); bytes.Equal(mark, []byte("---")) || bytes.HasPrefix(mark, []byte("--- ")) {
			all = append(all, document{line: n + 1})
			continue
		}
		last := &all[len(all)-1]
		last.text = append(last.text, line...)
	}
	return all
}

func appendObjects(objects []metav1.Object, raw []byte) ([]metav1.Object, error) {
	var head struct {
		metav1.TypeMeta
		Items []json.RawMessage
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, fmt.Errorf("not an object of Kubernetes: %w", err)
	}
	var object metav1.Object
	switch head.APIVersion + " " + head.Kind {
	case "v1 List", "v1 ServiceList", "discovery.k8s.io/v1 EndpointSliceList", "v1 NamespaceList", "v1 PodList":
		return appendItems(objects, head.TypeMeta, head.Items)
	case "v1 Service":
		object = &corev1.Service{}
	case "discovery.k8s.io/v1 EndpointSlice":
		object = &discoveryv1.EndpointSlice{}
	case "v1 Namespace":
		object = &corev1.Namespace{}
	case "v1 Pod":
		object = &corev1.Pod{}
	case " ":
		if string(raw) == "null" { // comments alone
			return objects, nil
		}
		return nil, errors.New("no apiVersion and kind: what is it")
	default:
		return objects, nil
	}
	if err := json.Unmarshal(raw, object); err != nil {
		return nil, fmt.Errorf("%s: %w", head.Kind, err)
	}
	if object.GetName() == "" {
		return nil, fmt.Errorf("%s: no metadata.name", head.Kind)
	}
	if _, ok := object.(*corev1.Namespace); !ok && object.GetNamespace() == "" {
		object.SetNamespace(metav1.NamespaceDefault)
	}
	small, err := slim(object)
	if err != nil {
		return nil, err
	}
	return append(objects, small.(metav1.Object)), nil
}

// appendItems takes a list apart. In a list of one kind the items need not say
// which.
func appendItems(objects []metav1.Object, list metav1.TypeMeta, items []json.RawMessage) (_ []metav1.Object, err error) {
	for i, item := range items {
		if list.Kind != "List" {
			var fields map[string]json.RawMessage
			if err := json.Unmarshal(item, &fields); err != nil {
				return nil, fmt.Errorf("item %d: %w", i, err)
			}
			if fields == nil {
				return nil, fmt.Errorf("item %d: null is no object", i)
			}
			kind, _ := json.Marshal(list.Kind[:len(list.Kind)-len("List")]) // a string always can be
			version, _ := json.Marshal(list.APIVersion)
			fields["kind"], fields["apiVersion"] = kind, version
			if item, err = json.Marshal(fields); err != nil {
				return nil, fmt.Errorf("item %d: %w", i, err)
			}
		}
		if objects, err = appendObjects(objects, item); err != nil {
			return nil, fmt.Errorf("item %d: %w", i, err)
		}
	}
	return objects, nil
}
