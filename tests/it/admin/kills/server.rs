//! The server that does everything itself.

use std::time::Duration;

use super::{Before, Dice, Person, SETTINGS, upstream};
use crate::harness::process::Server;
use crate::harness::store;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_while_jobs_run_loses_no_job_and_fetches_no_finished_segment_again() {
    let dice = Dice::from_env();
    println!("IT_SEED={} IT_KILLS={}", dice.seed, dice.kills);
    let mock = upstream(dice.kills).await;
    let dir = tempfile::tempdir().unwrap();
    let (person, mut resumed) = (Person::new(dice), 0);
    for round in 0..dice.kills {
        store::check(dir.path());
        let before = Before::of(dir.path(), round);
        resumed += before.resumable();
        tokio::time::timeout(Duration::from_secs(20), mock.idle()).await.expect("upstream notices the kill");
        mock.clear_log();

        let mut server = Server::spawn(dir.path(), &mock.url(), &SETTINGS);
        let addresses = server.addresses().await.expect("it starts after a kill");
        let _ = tokio::time::timeout(dice.moment(round), person.work(&addresses.admin, round)).await;
        server.kill().await;
        before.assert_not_fetched_again(&mock, &format!("round {round}"));
    }

    let mut server = Server::spawn(dir.path(), &mock.url(), &SETTINGS);
    let admin = server.addresses().await.unwrap().admin;
    let jobs = person.assert_all_ends_right(&admin, dir.path()).await;
    println!("{jobs} jobs were acknowledged and completed, {resumed} downloads were resumed");
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));
    store::check(dir.path());
    assert_eq!(store::quarantined(dir.path()), 0);
}
