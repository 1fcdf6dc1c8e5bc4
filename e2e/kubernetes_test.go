package e2e

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	strict "sigs.k8s.io/yaml"
)

// A manifest is what the Kubernetes API would be given.
type manifest struct {
	account corev1.ServiceAccount
	config  corev1.ConfigMap
	set     appsv1.DaemonSet
}

// readManifest decodes configs/kubernetes/nodecache.yaml as the API server would with
// strict validation: unknown and repeated fields are errors.
func readManifest(t *testing.T) (m manifest) {
	t.Helper()
	text, err := os.ReadFile("../configs/kubernetes/nodecache.yaml")
	must(t, err)
	kinds := map[string]any{"ServiceAccount": &m.account, "ConfigMap": &m.config, "DaemonSet": &m.set}
	for _, document := range strings.Split(string(text), "\n---\n") {
		var is struct{ Kind string }
		must(t, strict.Unmarshal([]byte(document), &is))
		into := kinds[is.Kind]
		if into == nil {
			t.Fatalf("a %q is none that is known or comes twice", is.Kind)
		}
		delete(kinds, is.Kind)
		if err := strict.UnmarshalStrict([]byte(document), into); err != nil {
			t.Errorf("%s: %v", is.Kind, err)
		}
	}
	return m
}

// The manifest holds together, and lets an old and a new pod overlap.
func TestKubernetesManifest(t *testing.T) {
	m := readManifest(t)
	pod := m.set.Spec.Template.Spec
	c := pod.Containers[0]
	update := m.set.Spec.UpdateStrategy.RollingUpdate
	added := c.SecurityContext.Capabilities.Add
	slices.Sort(added)
	for what, holds := range map[string]bool{
		"the selector selects the template":     m.set.Spec.Selector.MatchLabels["app.kubernetes.io/name"] == m.set.Spec.Template.Labels["app.kubernetes.io/name"],
		"one namespace":                         m.set.Namespace == m.config.Namespace && m.set.Namespace == m.account.Namespace,
		"its account":                           pod.ServiceAccountName == m.account.Name && !*m.account.AutomountServiceAccountToken,
		"old and new overlap":                   update.MaxSurge.IntValue() == 1 && update.MaxUnavailable.IntValue() == 0,
		"no host port that would keep one away": len(c.Ports) == 0,
		"the host's network, and not itself":    pod.HostNetwork && pod.DNSPolicy == corev1.DNSDefault,
		"two capabilities":                      slices.Equal(added, []corev1.Capability{"NET_ADMIN", "NET_BIND_SERVICE"}) && slices.Equal(c.SecurityContext.Capabilities.Drop, []corev1.Capability{"ALL"}),
		"a root that is read-only":              *c.SecurityContext.ReadOnlyRootFilesystem,
		"everywhere":                            pod.PriorityClassName == "system-node-critical" && pod.Tolerations[0].Operator == corev1.TolerationOpExists,
		"it takes over, and lingers":            slices.Contains(c.Args, "--takeover") && slices.Contains(c.Args, "--linger"),
	} {
		if !holds {
			t.Errorf("not so: %s", what)
		}
	}
	places := mounts(t, pod)
	var config struct {
		Admin, Control string
		Cache          struct{ File string }
	}
	must(t, yaml.Unmarshal([]byte(m.config.Data["nodecache.yaml"]), &config))
	for _, file := range []string{config.Control, config.Cache.File} {
		if v := places[path.Dir(file)]; v.HostPath == nil {
			t.Errorf("%s is in no directory of the host", file)
		}
	}
	if v := places["/etc/strata"]; v.ConfigMap == nil || v.ConfigMap.Name != m.config.Name || !slices.Contains(c.Args, "--config=/etc/strata/nodecache.yaml") {
		t.Errorf("the config is not where it is looked for: %+v", v)
	}
	for _, probe := range []*corev1.Probe{c.ReadinessProbe, c.LivenessProbe} {
		if at := probe.HTTPGet; at.Host+":"+at.Port.String() != config.Admin {
			t.Errorf("probes ask %s:%s, admin is %s", at.Host, at.Port.String(), config.Admin)
		}
	}
}

// mounts are a pod's volumes by where its container has them.
func mounts(t *testing.T, pod corev1.PodSpec) map[string]corev1.Volume {
	t.Helper()
	by := map[string]corev1.Volume{}
	for _, mount := range pod.Containers[0].VolumeMounts {
		i := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
		if i < 0 {
			t.Fatalf("no volume %s", mount.Name)
		}
		by[mount.MountPath] = pod.Volumes[i]
	}
	return by
}

// nodecache takes the ConfigMap's config, and the arguments.
func TestKubernetesConfig(t *testing.T) {
	needBinaries(t)
	m := readManifest(t)
	file := filepath.Join(t.TempDir(), "nodecache.yaml")
	writeFile(t, file, m.config.Data["nodecache.yaml"])
	nodecache := filepath.Join(bin, "nodecache")
	if out, err := exec.CommandContext(t.Context(), nodecache, "check", "--config", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	help, err := exec.CommandContext(t.Context(), nodecache, "serve", "--help").Output()
	must(t, err)
	for _, arg := range m.set.Spec.Template.Spec.Containers[0].Args[1:] {
		name, _, _ := strings.Cut(arg, "=")
		if !strings.Contains(string(help), name+" ") {
			t.Errorf("serve knows no %s", name)
		}
	}
}
