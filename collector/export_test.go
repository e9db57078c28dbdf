package collector

// SeriesPerProcess is for the test of the document, which is in another package because it also
// needs the metrics of the reaper.
const SeriesPerProcess = seriesPerProcess
