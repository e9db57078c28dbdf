// Package brake asks Prometheus, or what answers like it, one question whose answer is one number.
package brake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/api"
	promapi "github.com/prometheus/client_golang/api/prometheus/v1"
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
)

const (
	// maxSkew is the maximum difference between the time of an answer and the clock of this host. An
	// older answer comes from a cache, or one of the clocks is wrong.
	maxSkew = time.Minute
	// maxAnswer limits what is read of an answer, in bytes. One number takes less than 1 KiB.
	maxAnswer = 64 << 10
)

// Client asks one server. Use it from any number of goroutines.
type Client struct {
	http *http.Client
	api  promapi.API
}

// New returns a Client. It opens no connection.
func New(url string, config promconfig.HTTPClientConfig) (*Client, error) {
	c, err := promconfig.NewClientFromConfig(config, "brake")
	if err != nil {
		return nil, fmt.Errorf("http_config: %w", err)
	}
	c.Transport = boundedAnswers{c.Transport}
	a, err := api.NewClient(api.Config{Address: url, Client: c})
	if err != nil {
		return nil, err
	}
	return &Client{http: c, api: promapi.NewAPI(a)}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Value evaluates a query now. An error means that there is no answer to rely on: the server could
// not be asked in time, it warned that the answer is incomplete, or the answer is not exactly one
// number of the present.
func (c *Client) Value(ctx context.Context, query string, timeout time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// Without a time the server evaluates the query at its own present.
	answer, warnings, _, err := c.api.Query(ctx, query, time.Time{}, promapi.WithTimeout(timeout))
	switch {
	case err != nil:
		return 0, fmt.Errorf("query: %w", err)
	case len(warnings) > 0:
		return 0, fmt.Errorf("the answer may be incomplete: the server warns: %.200q", warnings)
	}
	value, at, err := only(answer)
	if err != nil {
		return 0, err
	}
	if age := time.Since(at.Time()).Abs(); age > maxSkew {
		return 0, fmt.Errorf("the answer is for %s, which is %s from now: at most %s is allowed", at.Time().UTC().Format(time.RFC3339), age.Round(time.Second), maxSkew)
	}
	if math.IsNaN(float64(value)) {
		return 0, errors.New("the answer is not a number (NaN)")
	}
	return float64(value), nil
}

// only returns the one sample of an answer.
func only(answer model.Value) (model.SampleValue, model.Time, error) {
	switch v := answer.(type) {
	case *model.Scalar:
		return v.Value, v.Timestamp, nil
	case model.Vector:
		switch {
		case len(v) == 0:
			return 0, 0, errors.New("the answer is empty: no series has a sample")
		case len(v) > 1:
			return 0, 0, fmt.Errorf("the answer has %d samples: write a query that has one, such as sum(...)", len(v))
		case v[0].Histogram != nil:
			return 0, 0, errors.New("the answer is a histogram: write a query that returns a number")
		}
		return v[0].Value, v[0].Timestamp, nil
	}
	return 0, 0, fmt.Errorf("the answer is of type %s: write a query that returns a number", typeOf(answer))
}

func typeOf(answer model.Value) string {
	if answer == nil {
		return "none"
	}
	return answer.Type().String()
}

// boundedAnswers cuts answers that are too long, which makes them invalid.
type boundedAnswers struct{ http.RoundTripper }

func (b boundedAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, maxAnswer), response.Body}
	return response, nil
}

// CloseIdleConnections is found by http.Client.
func (b boundedAnswers) CloseIdleConnections() {
	if c, ok := b.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
