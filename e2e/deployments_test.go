package e2e

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	strict "sigs.k8s.io/yaml"
)

// deployed are the manifests of authoritative's commands in a cluster.
var deployed = []struct {
	file, command string
	asksAPI       bool
	admin         func(authoritativeKeys) (admin, control string)
}{
	{"authoritative", "serve", false, func(c authoritativeKeys) (string, string) { return c.Admin, c.Control }},
	{"monitor", "monitor", true, func(c authoritativeKeys) (string, string) { return c.Monitor.Admin, c.Monitor.Control }},
	{"prober", "probe", false, func(c authoritativeKeys) (string, string) { return c.Probe.Admin, c.Probe.Control }},
}

// authoritativeKeys are those of a config that a manifest has to agree with.
type authoritativeKeys struct {
	Listen                   []string
	Admin, Control, Snapshot string
	Monitor                  struct{ Cluster, Admin, Control string }
	Probe                    struct{ Admin, Control string }
}

// A deployment is what the Kubernetes API would be given to run one of the commands.
type deployment struct {
	accounts []corev1.ServiceAccount
	roles    []rbacv1.ClusterRole
	bindings []rbacv1.ClusterRoleBinding
	services []corev1.Service
	configs  []corev1.ConfigMap
	sets     []appsv1.Deployment
}

// readDeployment decodes a manifest as the API server would with strict validation:
// unknown and repeated fields are errors.
func readDeployment(t *testing.T, file string) (d deployment) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../configs/kubernetes", file+".yaml"))
	must(t, err)
	for _, document := range strings.Split(string(text), "\n---\n") {
		var is struct{ Kind string }
		must(t, strict.Unmarshal([]byte(document), &is))
		switch is.Kind {
		case "ServiceAccount":
			d.accounts = decoded(t, d.accounts, document)
		case "ClusterRole":
			d.roles = decoded(t, d.roles, document)
		case "ClusterRoleBinding":
			d.bindings = decoded(t, d.bindings, document)
		case "Service":
			d.services = decoded(t, d.services, document)
		case "ConfigMap":
			d.configs = decoded(t, d.configs, document)
		case "Deployment":
			d.sets = decoded(t, d.sets, document)
		default:
			t.Errorf("%s: a %q is none that is known", file, is.Kind)
		}
	}
	if len(d.accounts) != 1 || len(d.configs) != 1 || len(d.sets) != 1 {
		t.Fatalf("%s: %d accounts, %d configs, %d deployments: one of each is wanted", file, len(d.accounts), len(d.configs), len(d.sets))
	}
	return d
}

func decoded[O any](t *testing.T, all []O, document string) []O {
	t.Helper()
	var one O
	if err := strict.UnmarshalStrict([]byte(document), &one); err != nil {
		t.Errorf("%T: %v", one, err)
	}
	return append(all, one)
}

// The manifests hold together: accounts, labels, places, ports, pages, and a config
// that the command takes.
func TestKubernetesDeployments(t *testing.T) {
	needBinaries(t)
	authoritative := filepath.Join(bin, "authoritative")
	for _, d := range deployed {
		t.Run(d.file, func(t *testing.T) {
			m := readDeployment(t, d.file)
			account, config, set := m.accounts[0], m.configs[0], m.sets[0]
			pod, labels := set.Spec.Template.Spec, set.Spec.Template.Labels
			c := pod.Containers[0]
			var keys authoritativeKeys
			must(t, yaml.Unmarshal([]byte(config.Data["authoritative.yaml"]), &keys))
			admin, control := d.admin(keys)
			places := mounts(t, pod)
			for what, holds := range map[string]bool{
				"the selector selects the template":  labels["app.kubernetes.io/name"] != "" && set.Spec.Selector.MatchLabels["app.kubernetes.io/name"] == labels["app.kubernetes.io/name"],
				"they are spread":                    pod.TopologySpreadConstraints[0].LabelSelector.MatchLabels["app.kubernetes.io/name"] == labels["app.kubernetes.io/name"],
				"one namespace":                      set.Namespace == config.Namespace && set.Namespace == account.Namespace,
				"its account":                        pod.ServiceAccountName == account.Name,
				"a token for who asks the API alone": *pod.AutomountServiceAccountToken == d.asksAPI && d.asksAPI == (len(m.bindings) > 0),
				"more than one, at all times":        *set.Spec.Replicas > 1 && set.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() == 0,
				"nobody's rights":                    *pod.SecurityContext.RunAsNonRoot && slices.Equal(c.SecurityContext.Capabilities.Drop, []corev1.Capability{"ALL"}) && len(c.SecurityContext.Capabilities.Add) == 0 && !*c.SecurityContext.AllowPrivilegeEscalation,
				"a root that is read-only":           *c.SecurityContext.ReadOnlyRootFilesystem,
				"its command and config":             slices.Equal(c.Args, []string{d.command, "--config=/etc/strata/authoritative.yaml"}),
				"the config is where it is read":     places["/etc/strata"].ConfigMap != nil && places["/etc/strata"].ConfigMap.Name == config.Name,
				"a folder for the control socket":    places[path.Dir(control)].EmptyDir != nil,
				"a folder for the snapshot":          keys.Snapshot == "" || places[path.Dir(keys.Snapshot)].EmptyDir != nil,
				"the cluster has a name":             d.command != "monitor" || keys.Monitor.Cluster != "",
				"memory: less for Go than there is":  c.Env[0].Name == "GOMEMLIMIT" && less(t, c.Env[0].Value, c.Resources.Limits.Memory().Value()),
			} {
				if !holds {
					t.Errorf("not so: %s", what)
				}
			}
			ports := map[string]string{}
			for _, port := range c.Ports {
				ports[port.Name] = ":" + strconv.Itoa(int(port.ContainerPort))
			}
			if !strings.HasSuffix(admin, ports["admin"]) {
				t.Errorf("the page is on %s, the pod's port is %s", admin, ports["admin"])
			}
			for _, probe := range []*corev1.Probe{c.ReadinessProbe, c.LivenessProbe} {
				if probe.HTTPGet.Port.String() != "admin" || probe.HTTPGet.Host != "" {
					t.Errorf("it is probed at %+v", probe.HTTPGet)
				}
			}
			for _, service := range m.services {
				if service.Spec.Selector["app.kubernetes.io/name"] != labels["app.kubernetes.io/name"] {
					t.Errorf("the Service selects %v", service.Spec.Selector)
				}
				for _, port := range service.Spec.Ports {
					if !strings.HasSuffix(keys.Listen[0], ports[port.TargetPort.String()]) || ports[port.TargetPort.String()] == "" {
						t.Errorf("the Service's %s is none of the pod's ports", port.Name)
					}
				}
			}

			file := filepath.Join(t.TempDir(), "authoritative.yaml")
			writeFile(t, file, config.Data["authoritative.yaml"])
			check := exec.CommandContext(t.Context(), authoritative, "check", "--config", file)
			if keys.Snapshot != "" {
				check.Env = append(os.Environ(), "STRATA_SNAPSHOT="+filepath.Join(t.TempDir(), "snapshot"))
			}
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("check: %v: %s", err, out)
			}
		})
	}
}

// What a monitor may do is what it does: list and watch, and put events.
func TestKubernetesRoles(t *testing.T) {
	m := readDeployment(t, "monitor")
	account := m.accounts[0]
	may := map[string][]string{}
	for _, role := range m.roles {
		bound := slices.ContainsFunc(m.bindings, func(b rbacv1.ClusterRoleBinding) bool {
			return b.RoleRef.Name == role.Name && len(b.Subjects) == 1 && b.Subjects[0].Name == account.Name && b.Subjects[0].Namespace == account.Namespace
		})
		if !bound {
			t.Errorf("nobody has the role %s", role.Name)
		}
		for _, rule := range role.Rules {
			for _, kind := range rule.Resources {
				may[kind] = append(may[kind], rule.Verbs...)
			}
		}
	}
	see := []string{"list", "watch"}
	want := map[string][]string{"services": see, "endpointslices": see, "namespaces": see, "pods": see, "events": {"create"}}
	for kind, verbs := range want {
		if !sameSet(slices.Clone(verbs), may[kind]) {
			t.Errorf("%s: %v, want %v", kind, may[kind], verbs)
		}
	}
	if len(may) != len(want) {
		t.Errorf("it may more than it needs: %v", may)
	}
}

// less tells whether a size as Go writes it is less than so many octets.
func less(t *testing.T, size string, octets int64) bool {
	t.Helper()
	quantity, err := resource.ParseQuantity(strings.TrimSuffix(size, "B")) // MiB is Mi there
	must(t, err)
	return quantity.Value() < octets
}
