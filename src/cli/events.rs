//! The hub's events: the stream behind `follow`, and the command `events`.
//!
//! A stream that breaks is opened again where it was (Last-Event-ID), until the hub stays away for too long.

use std::collections::VecDeque;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::call::Call;
use super::client::{Client, read};
use super::failure::{Code, Outcome};
use super::format::{bytes, clock_time, counted};
use super::job_words;
use super::output::{Tone, clean, note};
use crate::domain::{Backoff, Clock};
use crate::pb;

/// A hub that restarts is back before.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Before the stream is opened again. Shorter than `follow` waits for an event, which would drop a longer pause.
pub(super) const OPEN_AGAIN: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(1));

/// Events, one after the other, over as many connections as it takes.
pub(super) struct Events<'a> {
    client: &'a Client,
    clock: Clock,
    query: Vec<(&'static str, String)>,
    response: Option<reqwest::Response>,
    parser: Parser,
    ready: VecDeque<Value>,
    last: Option<String>,
    down_since: Option<Duration>,
    failures: u32,
}

impl<'a> Events<'a> {
    pub(super) fn new(client: &'a Client, clock: Clock, query: Vec<(&'static str, String)>) -> Self {
        let (response, parser, ready) = (None, Parser::default(), VecDeque::new());
        Self { client, clock, query, response, parser, ready, last: None, down_since: None, failures: 0 }
    }

    /// Starts the stream now, so that nothing is missed that happens after this.
    pub(super) async fn open(&mut self) -> Outcome {
        self.response = Some(self.client.open_events(&self.query, self.last.as_deref()).await?);
        self.parser = Parser::default();
        (self.down_since, self.failures) = (None, 0);
        Ok(())
    }

    /// The next event. A call that is dropped loses none.
    pub(super) async fn next(&mut self) -> Outcome<Value> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            let Some(response) = &mut self.response else {
                self.reconnect().await?;
                continue;
            };
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    for (id, data) in self.parser.push(&chunk) {
                        self.last = id.or(self.last.take());
                        self.ready.extend(serde_json::from_str::<Value>(&data).ok());
                    }
                }
                Ok(None) | Err(_) => self.response = None,
            }
        }
    }

    async fn reconnect(&mut self) -> Outcome {
        let since = *self.down_since.get_or_insert(self.clock.elapsed());
        self.failures = self.failures.saturating_add(1);
        self.clock.sleep(OPEN_AGAIN.pause(self.failures)).await;
        match self.open().await {
            Err(failure) if failure.code == Code::Unreachable && self.clock.elapsed() - since < PATIENCE => Ok(()),
            outcome => outcome,
        }
    }
}

/// Takes a stream of server-sent events apart (WHATWG HTML, 9.2.6): ids and data.
#[derive(Default)]
struct Parser {
    rest: Vec<u8>,
    id: Option<String>,
    data: Vec<String>,
}

impl Parser {
    fn push(&mut self, chunk: &[u8]) -> Vec<(Option<String>, String)> {
        self.rest.extend_from_slice(chunk);
        let mut events = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                let (id, data) = (self.id.take(), std::mem::take(&mut self.data));
                if !data.is_empty() {
                    events.push((id, data.join("\n")));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => self.id = Some(value.to_owned()),
                "data" => self.data.push(value.to_owned()),
                _ => {}
            }
        }
        events
    }
}

/// Flags of `modelhub events`.
const KINDS_OF_EVENTS: [&str; 5] = ["job", "progress", "activity", "traffic", "model"];

#[derive(Args)]
pub(super) struct Arguments {
    /// Only events of these kinds: job, progress, activity, traffic, model
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = KINDS_OF_EVENTS, default_value = "job,activity,model")]
    kinds: Vec<String>,
    /// Only events of this job
    #[arg(long, value_name = "ID")]
    job: Option<String>,
}

/// Prints what happens until Ctrl-C.
pub(super) async fn show(call: &Call, arguments: Arguments) -> Outcome {
    let mut query: Vec<_> = arguments.kinds.into_iter().map(|kind| ("kinds", kind)).collect();
    query.extend(arguments.job.map(|id| ("job_id", id)));
    let mut events = Events::new(&call.client, call.clock.clone(), query);
    events.open().await?;
    if call.screen.width.is_some() && !call.screen.json {
        note("Following events; press Ctrl-C to stop.");
    }
    loop {
        let event = tokio::select! {
            event = events.next() => event?,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        if call.screen.json {
            call.screen.print_json_line(&event)?;
            continue;
        }
        let event: pb::Event = read(&event)?;
        let at = call.screen.paint(&clock_time(event.at.as_ref(), call.clock.now()), Tone::Faint);
        call.screen.print(&format!("{at}  {:<8}  {}", clean(&event.kind), clean(&sentence(&event))))?;
    }
}

fn sentence(event: &pb::Event) -> String {
    if let Some(job) = &event.job {
        return job_words::sentence(job);
    }
    if let Some(activity) = &event.activity {
        return activity.text.clone();
    }
    if let Some(traffic) = &event.traffic {
        let (out, fetched) = (bytes(traffic.bytes_to_clients), bytes(traffic.bytes_from_upstream));
        return format!(
            "{}, {}, {out} to clients, {fetched} from upstream",
            counted(traffic.requests, "request"),
            counted(traffic.hits, "hit")
        );
    }
    if event.kind == "lost" { "some events were missed".into() } else { format!("model {} changed", event.model_id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_put_together_from_any_chunks() {
        let stream = ": hello\n\nevent: job\nid: 7\ndata: {\"a\":1}\n\ndata: x\r\ndata: y\r\n\r\nid: 9\n\n";
        let whole = Parser::default().push(stream.as_bytes());
        let expected = vec![(Some("7".to_owned()), "{\"a\":1}".to_owned()), (None, "x\ny".to_owned())];
        assert_eq!(whole, expected);
        let mut parser = Parser::default();
        let pieces: Vec<_> = stream.as_bytes().chunks(1).flat_map(|piece| parser.push(piece)).collect();
        assert_eq!(pieces, expected);
    }
}
