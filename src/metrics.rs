//! Every metric: its name, its labels, and the function that records it. Nothing else names one.
//! Repository ids and tokens are never labels.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, counter, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// The totals that people see; the counters above cannot be read back.
#[derive(Default)]
pub struct Totals {
    /// Bytes sent to clients by sendfile, and those that were copied through user space (heads included).
    pub sent_bytes: AtomicU64,
    pub copied_bytes: AtomicU64,
    pub saved_bytes: AtomicU64,
    pub upstream_bytes: AtomicU64,
    pub answers: AtomicU64,
    pub hits: AtomicU64,
}

/// The totals of this process so far.
pub fn totals() -> &'static Totals {
    static TOTALS: Totals = Totals {
        sent_bytes: AtomicU64::new(0),
        copied_bytes: AtomicU64::new(0),
        saved_bytes: AtomicU64::new(0),
        upstream_bytes: AtomicU64::new(0),
        answers: AtomicU64::new(0),
        hits: AtomicU64::new(0),
    };
    &TOTALS
}

/// Responses of the hub listener, by how they were served (`X-Modelhub-Cache`) and status class.
pub fn request(result: &'static str, status: u16) {
    totals().answers.fetch_add(1, Ordering::Relaxed);
    if result == "hit" {
        totals().hits.fetch_add(1, Ordering::Relaxed);
    }
    const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
    // Looked up once each: this is on the path of every request.
    type Made = OnceLock<(&'static str, [Counter; 4])>;
    static COUNTERS: [Made; 8] = [const { OnceLock::new() }; 8];
    let make =
        || (result, CLASSES.map(|class| counter!("modelhub_requests_total", "result" => result, "status" => class)));
    let class = usize::from((status / 100).clamp(2, 5)) - 2;
    let found = COUNTERS.iter().map(|made| made.get_or_init(make)).find(|(word, _)| *word == result);
    if let Some((_, counters)) = found {
        counters[class].increment(1);
    }
}

/// Bytes that a client's connection took by sendfile.
pub fn sent_bytes(bytes: u64) {
    totals().sent_bytes.fetch_add(bytes, Ordering::Relaxed);
    client_bytes(bytes);
}

/// Bytes that a client's connection took from memory.
pub fn copied_bytes(bytes: u64) {
    totals().copied_bytes.fetch_add(bytes, Ordering::Relaxed);
    client_bytes(bytes);
}

fn client_bytes(bytes: u64) {
    static COUNTER: OnceLock<Counter> = OnceLock::new();
    COUNTER.get_or_init(|| counter!("modelhub_client_bytes_total")).increment(bytes);
}

/// Bytes of a client's that are of a file in the store: nothing had to come for them.
pub fn saved_bytes(bytes: u64) {
    static COUNTER: OnceLock<Counter> = OnceLock::new();
    totals().saved_bytes.fetch_add(bytes, Ordering::Relaxed);
    COUNTER.get_or_init(|| counter!("modelhub_saved_bytes_total")).increment(bytes);
}

/// File bytes received from upstream.
pub fn upstream_bytes(bytes: u64) {
    totals().upstream_bytes.fetch_add(bytes, Ordering::Relaxed);
    counter!("modelhub_upstream_bytes_total").increment(bytes);
}

/// Bytes received from the object store.
pub fn object_read(bytes: u64) {
    counter!("modelhub_object_read_bytes_total").increment(bytes);
}

/// Bytes sent to the object store.
pub fn object_written(bytes: u64) {
    counter!("modelhub_object_written_bytes_total").increment(bytes);
}

/// Requests to the object store, by operation and outcome.
pub fn object_call(operation: &'static str, outcome: &'static str) {
    counter!("modelhub_object_calls_total", "operation" => operation, "outcome" => outcome).increment(1);
}

/// What is not in the object store yet.
pub fn object_waiting(files: u64, bytes: u64) {
    gauge!("modelhub_object_waiting_files").set(files as f64);
    gauge!("modelhub_object_waiting_bytes").set(bytes as f64);
}

/// Requests to upstream, by rate-limit bucket and outcome.
pub fn upstream_call(bucket: &'static str, outcome: &'static str) {
    counter!("modelhub_upstream_calls_total", "bucket" => bucket, "outcome" => outcome).increment(1);
}

/// Open connections of both listeners.
pub fn connections(count: usize) {
    gauge!("modelhub_connections").set(count as f64);
}

/// A connection that waited was closed to make room for another one.
pub fn connection_shed() {
    counter!("modelhub_connections_shed_total").increment(1);
}

/// Flights that ended, by outcome.
pub fn flight_ended(outcome: &'static str) {
    counter!("modelhub_flights_ended_total", "outcome" => outcome).increment(1);
}

/// A blob that the store has removed to make room.
pub fn removed_by_itself(bytes: u64) {
    counter!("modelhub_store_removed_total").increment(1);
    counter!("modelhub_store_removed_bytes_total").increment(bytes);
}

/// Flights in progress.
pub fn flights(count: usize) {
    gauge!("modelhub_flights").set(count as f64);
}

/// What the store holds.
pub fn store(blobs: u64, bytes: u64, free: u64) {
    gauge!("modelhub_store_blobs").set(blobs as f64);
    gauge!("modelhub_store_bytes").set(bytes as f64);
    gauge!("modelhub_store_free_bytes").set(free as f64);
}

/// Bytes of stored files that the scrub has read again.
pub fn scrubbed_bytes(bytes: u64) {
    counter!("modelhub_scrubbed_bytes_total").increment(bytes);
}

/// Files that the scrub has found damaged or missing.
pub fn damaged_files(files: u64) {
    counter!("modelhub_damaged_files_total").increment(files);
}

/// The rate-limit state of one bucket: requests left (if upstream said), seconds of pause.
pub fn rate_limit(bucket: &'static str, remaining: Option<u64>, paused_s: f64) {
    if let Some(remaining) = remaining {
        gauge!("modelhub_upstream_ratelimit_remaining", "bucket" => bucket).set(remaining as f64);
    }
    gauge!("modelhub_upstream_ratelimit_paused_seconds", "bucket" => bucket).set(paused_s);
}

/// 1 while requests to upstream fail fast because it failed repeatedly.
pub fn upstream_down(down: bool) {
    gauge!("modelhub_upstream_down").set(f64::from(u8::from(down)));
}

/// Lines of the log that nobody will read. Not a handle that is kept: logs begin before the recorder is installed.
pub fn dropped_log_lines(lines: u64) {
    counter!("modelhub_log_lines_dropped_total").increment(lines);
}

/// Installs the recorder of this process, once; the handle renders `/metrics`.
pub fn install() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new().install_recorder()?;
    describe();
    // A rate of what has not happened yet is 0, not unknown.
    for name in ["modelhub_upstream_bytes_total", "modelhub_client_bytes_total", "modelhub_saved_bytes_total"] {
        counter!(name).increment(0);
    }
    dropped_log_lines(0);
    scrubbed_bytes(0);
    damaged_files(0);
    Ok(handle)
}

fn describe() {
    use metrics::{describe_counter, describe_gauge};
    describe_counter!("modelhub_requests_total", "Responses of the hub listener by cache result and status class");
    describe_counter!("modelhub_client_bytes_total", "Bytes sent to clients, heads included");
    describe_counter!("modelhub_saved_bytes_total", "Bytes sent to clients of files that were in the store");
    describe_counter!("modelhub_upstream_bytes_total", "File bytes received from upstream");
    describe_counter!("modelhub_upstream_calls_total", "Requests to upstream by bucket and outcome");
    describe_counter!("modelhub_object_read_bytes_total", "Bytes received from the object store");
    describe_counter!("modelhub_object_written_bytes_total", "Bytes sent to the object store");
    describe_counter!("modelhub_object_calls_total", "Requests to the object store by operation and outcome");
    describe_gauge!("modelhub_object_waiting_files", "Stored files that are not in the object store yet");
    describe_gauge!("modelhub_object_waiting_bytes", "Bytes of these files");
    describe_counter!("modelhub_flights_ended_total", "Downloads that ended, by outcome");
    describe_counter!("modelhub_scrubbed_bytes_total", "Bytes of stored files that were read again by the scrub");
    describe_counter!("modelhub_damaged_files_total", "Stored files that the scrub found damaged or missing");
    describe_counter!("modelhub_log_lines_dropped_total", "Lines of the log that were dropped as nobody read them");
    describe_counter!(
        "modelhub_store_removed_total",
        "Blobs that the store removed by itself to stay within its limit"
    );
    describe_counter!("modelhub_store_removed_bytes_total", "Bytes of these blobs");
    describe_gauge!("modelhub_connections", "Open client connections");
    describe_counter!(
        "modelhub_connections_shed_total",
        "Waiting connections that were closed to make room for others"
    );
    describe_gauge!("modelhub_flights", "Downloads in progress");
    describe_gauge!("modelhub_store_blobs", "Blobs in the store");
    describe_gauge!("modelhub_store_bytes", "Bytes of the blobs in the store");
    describe_gauge!("modelhub_store_free_bytes", "Free bytes on the store's disk");
    describe_gauge!("modelhub_upstream_ratelimit_remaining", "Requests that upstream still allows, by bucket");
    describe_gauge!("modelhub_upstream_ratelimit_paused_seconds", "Seconds until requests resume, by bucket");
    describe_gauge!("modelhub_upstream_down", "1 while requests fail fast because upstream failed repeatedly");
}
