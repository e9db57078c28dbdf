package cluster

import (
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// requestTimeout is the maximum time for one request. What a request is based on gets old.
const requestTimeout = 10 * time.Second

// Client talks to one API server. Use it from any number of goroutines.
type Client struct {
	coordination, core, policy rest.Interface
}

// Connection says how the API server is reached.
type Connection struct {
	Kubeconfig string // a file; empty: the service account of the pod
}

// Check returns why the API server cannot be asked. It opens no connection.
func (c Connection) Check() error {
	_, err := c.config()
	return err
}

// Open returns a Client. It opens no connection.
func (c Connection) Open() (*Client, error) {
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	return newClient(config)
}

func (c Connection) config() (*rest.Config, error) {
	if c.Kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("no service account of a pod (%w): run in a pod, or give --cluster.kubeconfig", err)
		}
		return config, nil
	}
	file, err := clientcmd.LoadFromFile(c.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--cluster.kubeconfig: %w", err)
	}
	config, err := clientcmd.NewDefaultClientConfig(*file, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("--cluster.kubeconfig=%s: %w", c.Kubeconfig, err)
	}
	if config.ExecProvider != nil || config.AuthProvider != nil {
		return nil, fmt.Errorf("--cluster.kubeconfig=%s: %w", c.Kubeconfig, errProgram)
	}
	return config, nil
}

var errProgram = errors.New("it runs a program to log in, which the exporter does not: use a token, a tokenFile or a client certificate")

func newClient(config *rest.Config) (*Client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{coordinationv1.AddToScheme, corev1.AddToScheme, policyv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	config = rest.CopyConfig(config)
	config.Timeout = requestTimeout
	config.UserAgent = "closewait_exporter"
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	c := &Client{}
	for _, group := range []struct {
		version schema.GroupVersion
		path    string
		client  *rest.Interface
	}{
		{coordinationv1.SchemeGroupVersion, "/apis", &c.coordination},
		{corev1.SchemeGroupVersion, "/api", &c.core},
		{policyv1.SchemeGroupVersion, "/apis", &c.policy},
	} {
		of := rest.CopyConfig(config)
		of.GroupVersion, of.APIPath = &group.version, group.path
		client, err := rest.RESTClientFor(of)
		if err != nil {
			return nil, err
		}
		*group.client = client
	}
	return c, nil
}
