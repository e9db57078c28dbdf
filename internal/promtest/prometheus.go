package promtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"closewait_exporter/internal/leaktest"
)

// Prometheus is a running Prometheus server.
type Prometheus struct{ Address string }

// StartPrometheus starts a Prometheus that scrapes the targets of each job, and evaluates the rules
// of the given files, each second. It skips the test where the program is missing.
func StartPrometheus(t testing.TB, jobs map[string][]string, rules ...string) Prometheus {
	t.Helper()
	program := leaktest.RequireProgram(t, "prometheus")
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, configOf(t, jobs, rules), 0o600); err != nil {
		t.Fatal(err)
	}
	return Prometheus{Start(t, exec.Command(program, "--config.file="+file,
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0"))}
}

// configOf returns the configuration as JSON, which is valid YAML.
func configOf(t testing.TB, jobs map[string][]string, rules []string) []byte {
	t.Helper()
	var scraped []any
	for job, targets := range jobs {
		scraped = append(scraped, map[string]any{"job_name": job, "static_configs": []any{map[string]any{"targets": targets}}})
	}
	config, err := json.Marshal(map[string]any{
		"global":         map[string]string{"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
		"rule_files":     rules,
		"scrape_configs": scraped,
	})
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// Get requests a path of the API below /api/v1, and decodes the data of the answer.
func (p Prometheus) Get(path string, form url.Values, into any) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: maxWait}
	answer, err := client.Get("http://" + p.Address + "/api/v1/" + path + "?" + form.Encode())
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	body := struct {
		Status, Error string
		Data          any
	}{Data: into}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return fmt.Errorf("%s: %w", answer.Status, err)
	}
	if body.Status != "success" {
		return fmt.Errorf("%s: %s", answer.Status, body.Error)
	}
	return nil
}

// Query returns the present values of an expression, one for each series.
func (p Prometheus) Query(expression string) ([]float64, error) {
	var data struct {
		Result []struct{ Value [2]any }
	}
	if err := p.Get("query", url.Values{"query": {expression}}, &data); err != nil {
		return nil, err
	}
	var values []float64
	for _, series := range data.Result {
		value, err := strconv.ParseFloat(fmt.Sprint(series.Value[1]), 64)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

// Await queries until there is exactly one value and it is within bounds, and returns it.
func (p Prometheus) Await(t testing.TB, expression string, least, most float64) (value float64) {
	t.Helper()
	leaktest.Eventually(t, maxWait, func() (bool, string) {
		values, err := p.Query(expression)
		if err != nil || len(values) != 1 || !(values[0] >= least && values[0] <= most) {
			return false, fmt.Sprintf("%s is %v (%v), want one value from %v to %v", expression, values, err, least, most)
		}
		value = values[0]
		return true, ""
	})
	return value
}
