package alerts

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"testing"
	"time"
)

// notification is one alert in a request of Alertmanager.
type notification struct {
	receiver    string // the last part of the URL in the example configuration
	Status      string
	Labels      map[string]string
	Annotations map[string]string
}

// webhook stands for all receivers of the example configuration.
type webhook struct {
	calls chan []notification
	ended chan struct{}
	seen  []notification
}

// ServeHTTP passes a request on, and answers when await has received it.
func (w *webhook) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var message struct{ Alerts []notification }
	if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
		message.Alerts = []notification{{Status: err.Error()}} // which no test waits for
	}
	for i := range message.Alerts {
		message.Alerts[i].receiver = r.URL.Path
	}
	select {
	case w.calls <- message.Alerts:
	case <-w.ended:
	}
}

// receive listens where the example configuration sends notifications to.
func receive(t *testing.T) *webhook {
	t.Helper()
	found := regexp.MustCompile(`url: http://([^/]+)/`).FindSubmatch(read(t, alertmanagerPath))
	if found == nil {
		t.Fatalf("no webhook in %s", alertmanagerPath)
	}
	listener, err := net.Listen("tcp", string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	w := &webhook{calls: make(chan []notification), ended: make(chan struct{})}
	server := httptest.NewUnstartedServer(w)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(func() { close(w.ended); server.Close() })
	return w
}

// says reports whether an alert with these labels fires.
func (n *notification) says(alert string, labels map[string]string) bool {
	for name, value := range labels {
		if n.Labels[name] != value {
			return false
		}
	}
	return n.Status == "firing" && n.Labels["alertname"] == alert
}

// knows reports whether a notification that await has received so far says that an alert fires.
func (w *webhook) knows(alert string, labels map[string]string) bool {
	return slices.ContainsFunc(w.seen, func(n notification) bool { return n.says(alert, labels) })
}

// await returns the first notification that an alert with these labels fires.
func (w *webhook) await(t *testing.T, alert string, labels map[string]string, within time.Duration) notification {
	t.Helper()
	for deadline, i := time.After(within), 0; ; {
		for ; i < len(w.seen); i++ {
			if w.seen[i].says(alert, labels) {
				return w.seen[i]
			}
		}
		select {
		case alerts := <-w.calls:
			w.seen = append(w.seen, alerts...)
		case <-deadline:
			t.Fatalf("no notification of %s %v within %v; there were %v", alert, labels, within, w.seen)
		}
	}
}
