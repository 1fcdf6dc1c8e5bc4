package controlplane

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Users of a cluster.
const (
	Admin   = "admin"   // may do all
	Monitor = "monitor" // may do what it is given by RBAC
)

// writeSecrets writes the key of service accounts, a token for each user, and their
// kubeconfigs.
func (c *Cluster) writeSecrets() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(c.path("sa.key"), block, 0o600); err != nil {
		return err
	}
	groups := map[string]string{Admin: "system:masters", Monitor: "watchers"}
	var tokens strings.Builder
	for user, group := range groups {
		secret := make([]byte, 16)
		if _, err := rand.Read(secret); err != nil {
			return err
		}
		token := hex.EncodeToString(secret)
		fmt.Fprintf(&tokens, "%s,%s,%[2]s,%s\n", token, user, group)
		if err := os.WriteFile(c.path(user+".token"), []byte(token), 0o600); err != nil {
			return err
		}
		if err := c.WriteKubeconfig(c.Kubeconfig(user), user, "https://"+c.Address); err != nil {
			return err
		}
	}
	return os.WriteFile(c.path("tokens.csv"), []byte(tokens.String()), 0o600)
}

// Kubeconfig is the path of a user's.
func (c *Cluster) Kubeconfig(user string) string { return c.path(user + ".kubeconfig") }

// WriteKubeconfig writes a user's for an API server at a URL: the cluster's, or
// somebody between.
func (c *Cluster) WriteKubeconfig(path, user, url string) error {
	token, err := os.ReadFile(c.path(user + ".token"))
	if err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	config := api.NewConfig()
	config.Clusters["c"] = &api.Cluster{Server: url, CertificateAuthority: c.path("certs/apiserver.crt")}
	config.AuthInfos[user] = &api.AuthInfo{Token: string(token)}
	config.Contexts["c"] = &api.Context{Cluster: "c", AuthInfo: user}
	config.CurrentContext = "c"
	return clientcmd.WriteToFile(*config, path)
}

// config is a client's, without limits of its own. The API server makes its
// certificate when it starts for the first time: before that there is none.
func (c *Cluster) config(user, address string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("https://"+address, c.Kubeconfig(user))
	if err == nil {
		config.QPS = -1
	}
	return config, err
}
