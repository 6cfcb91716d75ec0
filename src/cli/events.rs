//! The hub's events: the stream behind `follow`, and the command `events`.
//!
//! A stream that breaks is opened again where it was (Last-Event-ID), until the hub stays away for too long.

use std::time::Duration;

use clap::Args;
use eventsource_stream::{Event, EventStreamError, Eventsource as _};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
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

type Stream = BoxStream<'static, Result<Event, EventStreamError<reqwest::Error>>>;

/// Events, one after the other, over as many connections as it takes.
pub(super) struct Events<'a> {
    client: &'a Client,
    clock: Clock,
    query: Vec<(&'static str, String)>,
    stream: Option<Stream>,
    last: Option<String>,
    down_since: Option<Duration>,
    failures: u32,
}

impl<'a> Events<'a> {
    pub(super) fn new(client: &'a Client, clock: Clock, query: Vec<(&'static str, String)>) -> Self {
        Self { client, clock, query, stream: None, last: None, down_since: None, failures: 0 }
    }

    /// Starts the stream now, so that nothing is missed that happens after this.
    pub(super) async fn open(&mut self) -> Outcome {
        let response = self.client.open_events(&self.query, self.last.as_deref()).await?;
        self.stream = Some(response.bytes_stream().eventsource().boxed());
        (self.down_since, self.failures) = (None, 0);
        Ok(())
    }

    /// The next event. A call that is dropped loses none.
    pub(super) async fn next(&mut self) -> Outcome<Value> {
        loop {
            let Some(stream) = &mut self.stream else {
                self.reconnect().await?;
                continue;
            };
            match stream.next().await {
                Some(Ok(event)) => {
                    if !event.id.is_empty() {
                        self.last = Some(event.id);
                    }
                    if let Ok(event) = serde_json::from_str(&event.data) {
                        return Ok(event);
                    }
                }
                Some(Err(_)) | None => self.stream = None,
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
