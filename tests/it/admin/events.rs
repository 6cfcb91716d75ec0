//! What happens, as server-sent events: in order, resumable, and honest about what was missed.

use std::time::Duration;

use serde_json::{Value, json};

use super::{PATIENCE, number, small_model, text};
use crate::harness::TestHub;

/// One event as a browser would see it.
#[derive(Debug, Clone)]
struct Seen {
    id: String,
    event: String,
    data: Value,
}

struct Stream {
    response: reqwest::Response,
    buffer: String,
}

impl Stream {
    async fn open(hub: &TestHub, query: &str, last: Option<&str>) -> Self {
        let url = format!("{}/v1/events{query}", hub.admin_url());
        let headers: Vec<(&str, &str)> = last.map(|id| ("last-event-id", id)).into_iter().collect();
        let response = hub.client.send("GET", &url, &headers, "").await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, buffer: String::new() }
    }

    /// The next event; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Seen> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                let field = |name: &str| -> String {
                    let lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                    lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
                };
                if field("data").is_empty() {
                    continue;
                }
                return Some(Seen {
                    id: field("id"),
                    event: field("event"),
                    data: serde_json::from_str(&field("data")).unwrap(),
                });
            }
            let chunk =
                tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("an event comes").unwrap()?;
            self.buffer += std::str::from_utf8(&chunk).unwrap();
        }
    }

    /// Events up to the first that is wanted, and that one.
    async fn until(&mut self, wanted: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        let mut all = Vec::new();
        // What keeps the connection alive comes for ever.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let next = tokio::time::timeout_at(deadline, self.next()).await;
            let next = next.unwrap_or_else(|_| panic!("waited in vain after {all:?}"));
            let seen = next.expect("the stream goes on");
            let last = wanted(&seen);
            all.push(seen);
            if last {
                return all;
            }
        }
    }
}

fn ends_job(id: &str) -> impl Fn(&Seen) -> bool {
    move |seen| seen.event == "job" && seen.data["job"]["id"] == id && seen.data["job"]["status"] == "completed"
}

#[tokio::test]
async fn a_watcher_sees_a_job_from_its_beginning_to_its_end_in_order() {
    let hub = TestHub::builder().repo(small_model("org/model")).start().await;
    let mut stream = Stream::open(&hub, "", None).await;
    let model = hub.register("org/model").await;
    let job = text(&model["active_job_id"]).to_owned();
    let seen = stream.until(ends_job(&job)).await;
    let ids: Vec<u64> = seen.iter().map(|seen| seen.id.parse().unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    for seen in &seen {
        assert_eq!(
            (number(&seen.data["id"]).to_string(), text(&seen.data["kind"])),
            (seen.id.clone(), seen.event.as_str())
        );
        assert!(seen.data["at"].is_string(), "{seen:?}");
    }
    let mut states: Vec<&str> = seen
        .iter()
        .filter(|seen| seen.event == "job" && seen.data["job"]["id"] == *job)
        .map(|seen| text(&seen.data["job"]["status"]))
        .collect();
    states.dedup();
    assert_eq!(states, ["pending", "running", "completed"]);
    let registered = |seen: &&Seen| seen.event == "activity" && seen.data["activity"]["kind"] == "model.registered";
    assert_eq!(seen.iter().filter(registered).count(), 1);
    // What changed of the model is told after its job.
    let more = stream.until(|seen| seen.event == "model").await;
    assert_eq!(more.last().unwrap().data["model_id"], model["id"]);
    hub.finish().await;
}

#[tokio::test]
async fn what_is_told_last_of_a_job_is_how_it_is() {
    const JOBS: usize = 8;
    let hub = (0..JOBS).fold(TestHub::builder(), |hub, n| hub.repo(small_model(&format!("org/model-{n}"))));
    let hub = hub.repo(small_model("org/last")).set("jobs.run", "false").start().await;
    let mut stream = Stream::open(&hub, "?kinds=job&kinds=activity", None).await;
    let mut jobs = Vec::new();
    for n in 0..JOBS {
        jobs.push(text(&hub.register(&format!("org/model-{n}")).await["active_job_id"]).to_owned());
    }
    // Several people order at once. Some are refused, as others came first.
    let order = async |(job, verb): (&String, &str)| {
        let reply = hub.admin("POST", &format!("/v1/jobs/{job}/{verb}"), &json!({})).await;
        assert!([200, 409].contains(&reply.status), "{}", reply.text());
    };
    let verbs = ["pause", "resume", "cancel", "retry"].into_iter().cycle().take(40);
    let orders = verbs.flat_map(|verb| jobs.iter().map(move |job| (job, verb))).map(order);
    futures_util::future::join_all(orders).await;
    hub.register("org/last").await;
    let registered_last = |seen: &Seen| seen.event == "activity" && seen.data.to_string().contains("org/last");
    let seen = stream.until(registered_last).await;
    for job in &jobs {
        let told = seen.iter().rfind(|seen| seen.data["job"]["id"] == **job).unwrap();
        assert_eq!(told.data["job"], hub.job(job).await);
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_watcher_that_comes_back_misses_nothing_and_sees_nothing_twice() {
    let hub = TestHub::builder().repo(small_model("org/model")).start().await;
    let mut whole = Stream::open(&hub, "?kinds=job&kinds=activity", None).await;
    let mut stream = Stream::open(&hub, "?kinds=job&kinds=activity", None).await;
    hub.synced("org/model").await;
    let mut seen = stream.until(|seen| seen.event == "job").await;
    drop(stream);
    let download = hub.done(&hub.download("org/model", json!({})).await).await;
    let last = seen.last().unwrap().id.clone();
    let mut stream = Stream::open(&hub, "?kinds=job&kinds=activity", Some(&last)).await;
    let end = ends_job(text(&download["id"]));
    seen.extend(stream.until(&end).await);
    let right: Vec<String> = whole.until(&end).await.into_iter().map(|seen| seen.id).collect();
    assert_eq!(seen.iter().map(|seen| seen.id.clone()).collect::<Vec<_>>(), right);
    // The same place in the query, for who cannot set the header.
    let mut stream = Stream::open(&hub, &format!("?kinds=job&kinds=activity&after={last}"), None).await;
    let again: Vec<String> = stream.until(&end).await.into_iter().map(|seen| seen.id).collect();
    assert_eq!(again, right[right.iter().position(|id| *id == last).unwrap() + 1..]);
    hub.finish().await;
}

#[tokio::test]
async fn who_was_away_for_too_long_is_told_that_events_were_lost() {
    let hub = TestHub::builder().repo(small_model("org/model")).start().await;
    hub.synced("org/model").await;
    for last in ["1", "9000000000000000000", "18446744073709551615"] {
        let mut stream = Stream::open(&hub, "?kinds=job", Some(last)).await;
        let first = stream.next().await.unwrap();
        assert_eq!((first.event.as_str(), text(&first.data["kind"])), ("lost", "lost"), "after {last}");
        // It goes on from now.
        let job = hub.order("/v1/models/org/model/sync", json!({})).await;
        let seen = stream.until(ends_job(text(&job["id"]))).await;
        assert!(seen.iter().all(|seen| seen.event == "job"), "{seen:?}");
    }
    // Another start of the hub is such an absence too.
    let mut stream = Stream::open(&hub, "", None).await;
    let job = hub.order("/v1/models/org/model/sync", json!({})).await;
    let last = stream.until(ends_job(text(&job["id"]))).await.pop().unwrap();
    let hub = hub.restart().await;
    let mut stream = Stream::open(&hub, "?kinds=job", Some(&last.id)).await;
    assert_eq!(stream.next().await.unwrap().event, "lost");
    hub.finish().await;
}

#[tokio::test]
async fn only_what_is_asked_for_is_sent() {
    let hub = TestHub::builder().repo(small_model("org/model")).repo(small_model("org/other")).start().await;
    hub.synced("org/model").await;
    hub.synced("org/other").await;
    let mut models = Stream::open(&hub, "?kinds=model", None).await;
    let other = hub.done(&hub.order("/v1/models/org/other/sync", json!({})).await).await;
    let job = hub.download("org/model", json!({})).await;
    let mut of_job = Stream::open(&hub, &format!("?job_id={}&after=1", text(&job["id"])), None).await;
    hub.done(&job).await;
    let seen = models.until(|seen| seen.data["model_id"] == job["model_id"]).await;
    assert!(seen.iter().all(|seen| seen.event == "model"), "{seen:?}");
    let seen = of_job.until(ends_job(text(&job["id"]))).await;
    assert!(seen[1..].iter().all(|seen| seen.data["job"]["id"] == job["id"]), "{seen:?} {other}");
    hub.finish().await;
}

#[tokio::test]
async fn traffic_is_told_every_second_and_streams_end_when_the_hub_stops() {
    let hub = TestHub::builder().repo(small_model("org/model")).start().await;
    let mut stream = Stream::open(&hub, "?kinds=traffic", None).await;
    let seen = stream.until(|seen| seen.event == "traffic").await;
    let traffic = &seen.last().unwrap().data["traffic"];
    for member in ["bytes_to_clients", "bytes_from_upstream", "requests", "hits", "flights"] {
        number(&traffic[member]);
    }
    let reading = tokio::spawn(async move { while stream.next().await.is_some() {} });
    // `finish` fails if the hub does not stop in time.
    hub.finish().await;
    tokio::time::timeout(Duration::from_secs(10), reading).await.expect("the stream ends").unwrap();
}

#[tokio::test]
async fn a_watcher_that_does_not_read_slows_nobody_down_and_is_told_what_it_lost() {
    let hub = TestHub::builder().set("jobs.run", "false").start().await;
    let mut slow = Stream::open(&hub, "?kinds=job&kinds=activity&kinds=model", None).await;
    hub.register("org/first").await;
    slow.until(|seen| seen.event == "job").await;
    // Each cancellation and each retry is an event with a whole job in it.
    let job = text(&hub.look("/v1/jobs").await["jobs"][0]["id"]).to_owned();
    for _ in 0..1500 {
        hub.order(&format!("/v1/jobs/{job}/cancel"), json!({})).await;
        hub.order(&format!("/v1/jobs/{job}/retry"), json!({})).await;
    }
    hub.register("org/last").await;
    let last = |seen: &Seen| seen.event == "job" && seen.data["job"]["repo_id"] == "org/last";
    let seen = slow.until(last).await;
    let complete = seen.iter().filter(|seen| seen.event == "job").count() >= 3000;
    assert!(complete || seen.iter().any(|seen| seen.event == "lost"), "{} events and not told", seen.len());
    hub.finish().await;
}
