package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/config"

	"closewait_exporter/report"
	"closewait_exporter/web"
)

// remoteTimeout is how long a running exporter may take to answer: as long as a page, and a bit
// more for the way.
const remoteTimeout = 15 * time.Second

// remoteOptions say which running exporter is asked instead of this host.
type remoteOptions struct {
	url        *url.URL // nil: this host
	httpConfig string   // file with credentials and TLS settings; may be empty
}

func (r *remoteOptions) define(cmd *kingpin.CmdClause) {
	cmd.Flag("from", "Ask a running exporter instead of scanning this host, such as http://HOST:10052. It remembers rates, ages and closed sockets for longer.").
		PlaceHolder("URL").SetValue(value[*url.URL]{"--from", &r.url, exporterURL})
	cmd.Flag("from.http-config", "File with credentials and TLS settings for --from, in the format of http_config of Prometheus.").
		PlaceHolder("FILE").StringVar(&r.httpConfig)
}

// exporterURL reads the address of an exporter, with the path prefix of a proxy if there is one.
func exporterURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%q is not the address of an exporter: use for example http://web1:10052", text)
	case u.User != nil:
		return nil, errors.New("credentials do not belong in the address, which other users can see: put them into a file and give --from.http-config")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%q has more than an address and a path: use for example http://web1:10052", text)
	}
	return u, nil
}

// remote is a running exporter.
type remote struct {
	url    string
	client *http.Client
}

// newRemote returns an error if the file with the credentials cannot be used.
func newRemote(o *remoteOptions) (*remote, error) {
	settings := config.DefaultHTTPClientConfig
	if o.httpConfig != "" {
		loaded, _, err := config.LoadHTTPConfigFile(o.httpConfig)
		if err != nil {
			return nil, fmt.Errorf("--from.http-config=%s: %w: give a file in the format of http_config of Prometheus", o.httpConfig, err)
		}
		settings = *loaded
	}
	client, err := config.NewClientFromConfig(settings, program, config.WithUserAgent(program))
	if err != nil {
		return nil, fmt.Errorf("--from.http-config=%s: %w", o.httpConfig, err)
	}
	return &remote{o.url.JoinPath(web.ProcessesPath).String(), client}, nil
}

// report asks the exporter. Its errors name the address.
func (r *remote) report(ctx context.Context) (*report.Report, error) {
	limited, cancel := context.WithTimeout(ctx, remoteTimeout)
	defer cancel()
	result, err := r.ask(limited)
	switch {
	case err == nil:
		return result, nil
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("%s: no answer within %s", r.url, remoteTimeout)
	}
	return nil, fmt.Errorf("%s: %w", r.url, err)
}

func (r *remote) ask(ctx context.Context) (*report.Report, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := r.client.Do(request)
	if err != nil {
		return nil, explainConnection(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, report.MaxBytes+1))
	switch media, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")); {
	case err != nil:
		return nil, fmt.Errorf("read the answer: %w", err)
	case answer.StatusCode != http.StatusOK:
		return nil, explainStatus(answer, body)
	case len(body) > report.MaxBytes:
		return nil, fmt.Errorf("the answer is longer than %d MiB: no closewait_exporter sends that", report.MaxBytes>>20)
	case media != "application/json":
		return nil, fmt.Errorf("the answer is of type %q: is it a closewait_exporter?", media)
	}
	result, err := report.Decode(body)
	if err != nil {
		return nil, fmt.Errorf("the answer is not the list of a closewait_exporter: %w", err)
	}
	return result, nil
}

// explainConnection says what to do about an error of the connection.
func explainConnection(err error) error {
	var requested *url.Error
	if errors.As(err, &requested) {
		err = requested.Err // without the address, which the caller names
	}
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%w: give its certificate authority in --from.http-config, as ca_file of tls_config", err)
	case errors.As(err, &name):
		return fmt.Errorf("%w: use a name of the certificate in --from, or server_name of tls_config in --from.http-config", err)
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%w: use http:// instead of https://", err)
	}
	return err
}

// explainStatus says what to do about an answer that is none.
func explainStatus(answer *http.Response, body []byte) error {
	var failed apiError
	switch answer.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("%s: the exporter is older than this program, or it is none", answer.Status)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%s: give the credentials in --from.http-config", answer.Status)
	case http.StatusServiceUnavailable:
		if json.Unmarshal(body, &failed) == nil && failed.Error != "" {
			return fmt.Errorf("its scan failed: %s", failed.Error)
		}
	}
	const most = 200
	first, _, _ := strings.Cut(strings.TrimSpace(string(body[:min(len(body), most)])), "\n")
	return fmt.Errorf("%s: %s", answer.Status, first)
}
