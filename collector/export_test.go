package collector

// SeriesPerProcess is for the test of the document, which is outside this package: it knows the
// reaper's metrics too.
const SeriesPerProcess = seriesPerProcess
