package web

import (
	"net/http"
	"strconv"
	"time"
)

// scrapeTimeoutHeader is how long the scraper waits, in seconds. Prometheus sends it.
const scrapeTimeoutHeader = "X-Prometheus-Scrape-Timeout-Seconds"

// scrapeMargin is the time left for encoding the answer and for the network.
const scrapeMargin = 500 * time.Millisecond

// scrapeTime is how long the scan for a scrape may take. Without a valid header the write timeout
// of the server is the limit, because later writes would fail.
func scrapeTime(header http.Header) time.Duration {
	timeout := writeTimeout
	seconds, err := strconv.ParseFloat(header.Get(scrapeTimeoutHeader), 64)
	if err == nil && seconds > 0 && seconds < timeout.Seconds() {
		timeout = time.Duration(seconds * float64(time.Second))
	}
	const smallShare = 5
	return timeout - min(scrapeMargin, timeout/smallShare)
}
