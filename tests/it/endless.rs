//! Listings without an end: each of them ends here, with an error that says why, and leaves nothing behind.

use mock_hf::{Fault, Repo, Rule};

use crate::harness::TestHub;

const TREE: &str = "/api/models/org/model/tree/main?recursive=true";

fn model() -> Repo {
    Repo::model("org/model").file("config.json", "{}").file("README.md", "# A model")
}

#[tokio::test]
async fn a_page_that_leads_back_is_refused() {
    let hub = TestHub::builder().repo(model()).set("upstream.slow_after", "1m").start().await;
    let commit = hub.commit_of("main").await;
    let page = |cursor: &str| {
        format!("{}/api/models/org/model/tree/{commit}?recursive=true&expand=false{cursor}", hub.mock.url())
    };
    let link = |url: String| Fault::SetHeader { name: "link".into(), value: format!("<{url}>; rel=\"next\"") };
    // To itself, and to the first of two.
    for (first, second) in [(page(""), page("")), (page("&limit=7"), page(""))] {
        let rules = [
            hub.mock.fault(Rule::on_hub("expand=false").fault(link(first))),
            hub.mock.fault(Rule::on_hub("limit=7").fault(link(second))),
        ];
        for _ in 0..2 {
            let reply = hub.get(TREE).await;
            assert_eq!(reply.status, 502, "{}", reply.text());
            assert!(reply.text().contains("its next page is one that was read before"), "{}", reply.text());
        }
        for rule in rules {
            hub.mock.remove_fault(rule);
        }
    }
    assert_eq!(hub.get(TREE).await.json().as_array().unwrap().len(), 2);
    hub.finish().await;
}

#[tokio::test]
async fn what_a_broken_reading_brought_is_kept_only_if_somebody_asked_for_it() {
    let hub = TestHub::builder().repo(model()).start().await;
    let commit = hub.commit_of("main").await;
    let broken =
        Fault::Status { code: 500, error_code: None, message: "broken".into(), retry_after: None, ratelimit: None };
    hub.mock.fault(Rule::on_hub("/tree/").skip(1).times(1).fault(broken));
    let link = format!(
        "<{}/api/models/org/model/tree/{commit}?recursive=true&expand=false&cursor=eA==>; rel=\"next\"",
        hub.mock.url()
    );
    let more = hub.mock.fault(Rule::on_hub("/tree/").fault(Fault::SetHeader { name: "link".into(), value: link }));
    // The listing breaks at its second page, and the file is asked for alone.
    hub.get("/org/model/resolve/main/config.json").await.assert_is(200, b"{}");
    hub.mock.remove_fault(more);
    hub.mock.fault(Rule::on_hub("").fault(Fault::NoAnswer));
    hub.get("/org/model/resolve/main/config.json").await.assert_is(200, b"{}");
    let hub = hub.restart().await;
    hub.get("/org/model/resolve/main/config.json").await.assert_is(200, b"{}");
    assert_ne!(hub.head("/org/model/resolve/main/README.md").await.status, 200, "nobody asked for it");
    hub.finish().await;
}
