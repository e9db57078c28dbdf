package web

import (
	"net/http"
	"strconv"
	"time"
)

// scrapeTimeoutHeader tells how long the scraper waits, in seconds. Prometheus sends it.
const scrapeTimeoutHeader = "X-Prometheus-Scrape-Timeout-Seconds"

// scrapeMargin is kept for encoding the answer and for the network.
const scrapeMargin = 500 * time.Millisecond

// scrapeTime is how long the scan for a scrape may take. Without a valid header the scraper's
// patience is not known, and that of the server is the limit: what is written later is lost.
func scrapeTime(header http.Header) time.Duration {
	patience := writeTimeout
	seconds, err := strconv.ParseFloat(header.Get(scrapeTimeoutHeader), 64)
	if err == nil && seconds > 0 && seconds < patience.Seconds() {
		patience = time.Duration(seconds * float64(time.Second))
	}
	const smallShare = 5
	return patience - min(scrapeMargin, patience/smallShare)
}
