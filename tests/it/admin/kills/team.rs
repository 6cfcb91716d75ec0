//! A server without workers and two workers, on PostgreSQL: whichever of them is killed, the others go on meanwhile.

use super::{Before, Dice, Person, SETTINGS, upstream};
use crate::harness::store;
use crate::team::Team;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a PostgreSQL server: make test-db"]
async fn kill_9_of_a_server_or_a_worker_loses_no_job_and_fetches_no_finished_segment_again() {
    let dice = Dice::from_env();
    println!("IT_SEED={} IT_KILLS={}", dice.seed, dice.kills);
    let mut team = Team::start(upstream(dice.kills).await, &SETTINGS).await;
    let mut workers = [team.worker().await.0, team.worker().await.0];
    let (person, mut resumed, mut killed) = (Person::new(dice), 0, [0; 2]);
    for round in 0..dice.kills {
        // They go on while this is looked at: what is asked for after it was finished is asked for again.
        let before = Before::of(team.data_dir(), round);
        resumed += before.resumable();
        team.mock.clear_log();
        let admin = team.addresses.admin.clone();
        let _ = tokio::time::timeout(dice.moment(round), person.work(&admin, round)).await;
        match dice.throw(round, 3, 3) {
            0 => {
                team.kill_and_restart_hub().await;
                killed[0] += 1;
            }
            victim => {
                let worker = &mut workers[victim as usize - 1];
                std::mem::replace(worker, team.spawn_worker()).kill().await;
                worker.worker_address().await.expect("a worker starts after a kill");
                killed[1] += 1;
            }
        }
        before.assert_not_fetched_again(&team.mock, &format!("round {round}"));
    }

    let jobs = person.assert_all_ends_right(&team.addresses.admin, team.data_dir()).await;
    let [servers, of_workers] = killed;
    println!("{servers} kills of the server, {of_workers} of workers");
    println!("{jobs} jobs were acknowledged and completed, {resumed} downloads were resumed");
    for process in workers.into_iter().chain([team.hub]) {
        process.terminate();
        assert_eq!(process.ended().await.code(), Some(0));
    }
    store::check(team.dir.path());
    assert_eq!(store::quarantined(team.dir.path()), 0);
}
