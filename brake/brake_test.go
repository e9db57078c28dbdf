package brake

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"
)

// vector is a successful answer with samples at a time that are [at, "value"].
func vector(at time.Time, values ...string) string {
	var samples []string
	for _, v := range values {
		samples = append(samples, fmt.Sprintf(`{"metric":{},"value":[%d,%q]}`, at.Unix(), v))
	}
	return `{"status":"success","data":{"resultType":"vector","result":[` + strings.Join(samples, ",") + `]}}`
}

func ask(t *testing.T, handler http.HandlerFunc, change ...func(*promconfig.HTTPClientConfig)) (float64, error) {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	config := promconfig.DefaultHTTPClientConfig
	for _, f := range change {
		f(&config)
	}
	c, err := New(server.URL, config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Value(context.Background(), `sum(up)`, 5*time.Second)
}

func TestOneFreshNumberIsTheAnswer(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		answer string
		want   float64
	}{
		"a vector of one":           {vector(now, "3"), 3},
		"a scalar":                  {fmt.Sprintf(`{"status":"success","data":{"resultType":"scalar","result":[%d,"0.5"]}}`, now.Unix()), 0.5},
		"with a remark":             {strings.Replace(vector(now, "3"), `"data"`, `"infos":["metric might not be a counter"],"data"`, 1), 3},
		"infinite, above any limit": {vector(now, "+Inf"), math.Inf(1)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ask(t, func(w http.ResponseWriter, r *http.Request) {
				if query := r.FormValue("query"); query != "sum(up)" || r.URL.Path != "/api/v1/query" || r.FormValue("time") != "" {
					t.Errorf("asked %s for %q", r.URL, query)
				}
				fmt.Fprint(w, c.answer)
			})
			if err != nil || got != c.want {
				t.Errorf("%v, %v, want %v", got, err, c.want)
			}
		})
	}
}

func TestNoOtherAnswerIsReliedOn(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct{ answer, want string }{
		"nothing":                {vector(now), "the answer is empty"},
		"two samples":            {vector(now, "0", "0"), "has 2 samples"},
		"not a number":           {vector(now, "NaN"), "not a number"},
		"of the past":            {vector(now.Add(-2*time.Minute), "0"), "from now"},
		"of the future":          {vector(now.Add(2*time.Minute), "0"), "from now"},
		"incomplete":             {strings.Replace(vector(now, "0"), `"data"`, `"warnings":["no store matched"],"data"`, 1), "no store matched"},
		"a text":                 {fmt.Sprintf(`{"status":"success","data":{"resultType":"string","result":[%d,"0"]}}`, now.Unix()), "string"},
		"a range":                {`{"status":"success","data":{"resultType":"matrix","result":[]}}`, "matrix"},
		"no type":                {`{"status":"success","data":{}}`, ""},
		"a native histogram":     {fmt.Sprintf(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[%d,{"count":"1","sum":"1","buckets":[]}]}]}}`, now.Unix()), "histogram"},
		"an error with 200":      {`{"status":"error","errorType":"bad_data","error":"parse error"}`, "parse error"},
		"no JSON":                {`<html>login</html>`, ""},
		"longer than any answer": {strings.Replace(vector(now, "1"), `"data"`, strings.Repeat(" ", maxAnswer)+`"data"`, 1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			value, err := ask(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, c.answer) })
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %v, want an error with %q", value, err, c.want)
			}
		})
	}
}

func TestAServerThatFailsGivesNoAnswer(t *testing.T) {
	for _, status := range []int{301, 400, 401, 403, 404, 422, 429, 500, 502, 503, 504} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			if value, err := ask(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }); err == nil {
				t.Errorf("%v, want an error", value)
			}
		})
	}
}

func TestAServerThatHangsIsGivenUp(t *testing.T) {
	asked := make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.FormValue("query") // the context ends with the connection only once the body is read
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	c, err := New(server.URL, promconfig.DefaultHTTPClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-asked; cancel() }()
	if value, err := c.Value(ctx, "up", time.Minute); err == nil {
		t.Errorf("%v, want an error", value)
	}
	if value, err := c.Value(context.Background(), "up", time.Nanosecond); err == nil {
		t.Errorf("%v, want an error", value)
	}
}

func TestTheSettingsOfHTTPAreUsed(t *testing.T) {
	var authorized atomic.Bool
	_, err := ask(t, func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		authorized.Store(password == "secret")
		fmt.Fprint(w, vector(time.Now(), "0"))
	}, func(c *promconfig.HTTPClientConfig) {
		c.BasicAuth = &promconfig.BasicAuth{Username: "reaper", Password: "secret"}
	})
	if err != nil || !authorized.Load() {
		t.Errorf("authorized: %t, %v", authorized.Load(), err)
	}
}

func TestWrongSettingsAreAnError(t *testing.T) {
	config := promconfig.DefaultHTTPClientConfig
	config.TLSConfig.CAFile = t.TempDir() + "/missing"
	if _, err := New("https://127.0.0.1:1", config); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("%v, want the missing file", err)
	}
}
