//! Large tables: 10 000 jobs, and a repository of 100 000 files. Prints how long things take (`--nocapture`), and
//! asserts nothing about it; what it asserts is that the answers are right and that the indexes are used.

use std::time::Instant;

use modelhub::db::{Claimant, Db, EvictionRule, FilePage, FileTotals, Gone, ModelFilter};
use modelhub::domain::job::{JobFilter, JobKind, JobStatus, NewJob};
use modelhub::domain::{Artifact, CommitId, ContentId, Digest, Entry, GitOid, JobId, ModelId, Work, WorkerId, work};

use crate::database::{TestDatabase, folder, on_both, path, put_blob, repo_with_commit};

on_both!(
    ten_thousand_jobs_are_listed_and_claimed,
    a_hundred_thousand_files_are_listed_counted_and_stored,
    what_is_looked_up_often_is_looked_up_by_an_index,
);

/// Runs something, and prints how long it took.
#[expect(clippy::print_stdout, reason = "figures for who runs it")]
async fn timed<T>(base: &TestDatabase, what: &str, doing: impl Future<Output = T>) -> T {
    #[expect(clippy::disallowed_methods, reason = "a figure for people, nothing depends on it")]
    let start = Instant::now();
    let outcome = doing.await;
    let database = if base.is_postgres() { "postgres" } else { "sqlite" };
    println!("{database}: {what}: {:.1} ms", start.elapsed().as_secs_f64() * 1000.0);
    outcome
}

async fn ten_thousand_jobs_are_listed_and_claimed(base: &TestDatabase) {
    let db = base.open().await;
    // 8000 have ended, 2000 wait; a thousand of these not before 10^9.
    base.execute(
        "insert into job (id, kind, status, repo_name, payload, priority, attempts, max_attempts, progress, waiting_for,
            error, outcome, dedup_key, worker, lease_until, created_at, run_at, finished_at)
        with recursive n (i) as (select 1 union all select i + 1 from n where i < 10000)
        select 'job-' || substr('00000' || cast(i as text), length(cast(i as text))), case when i % 2 = 0 then 'sync' else 'download' end,
            case when i > 8000 then 'pending' when i % 10 = 0 then 'failed' else 'completed' end,
            'models/org/' || cast(i as text), '{}', i % 3, 0, 5, '{}', '', '', 'done', cast(i as text), '', 0, i,
            case when i > 9000 then 1000000000 else i end, case when i > 8000 then null else i end from n",
    )
    .await;
    let page = async |filter: JobFilter| db.jobs(&JobFilter { limit: 101, ..filter }).await.unwrap();
    let all = timed(base, "first page of 100 of 10 000 jobs", page(JobFilter::default())).await;
    assert_eq!((all.len(), all[0].created_at), (101, 10_000));
    let before = Some((5000, JobId::new("job-005000")));
    let middle = timed(base, "a page in the middle", page(JobFilter { before, ..JobFilter::default() })).await;
    assert_eq!(middle[0].created_at, 4999);
    let failed = JobFilter { statuses: vec![JobStatus::Failed], ..JobFilter::default() };
    assert_eq!(timed(base, "first page of the failed", page(failed)).await[0].created_at, 8000);
    let found = JobFilter { search: "ORG/42".into(), ..JobFilter::default() };
    assert_eq!(timed(base, "a search that finds 111", page(found)).await.len(), 101);
    let nothing = JobFilter { search: "nothing".into(), ..JobFilter::default() };
    assert!(timed(base, "a search that finds nothing", page(nothing)).await.is_empty());
    let counts = timed(base, "the counts", db.job_counts()).await.unwrap();
    assert!(counts.contains(&(JobStatus::Pending, 2000)) && counts.contains(&(JobStatus::Failed, 800)), "{counts:?}");

    let (max_downloads, max_own_downloads) = (10_000, 10_000);
    let (worker, kinds) = (WorkerId::new("w"), JobKind::ALL);
    let who = Claimant { worker, kinds, max_downloads, max_own_downloads, heard_after: 0, lease_until: 1, now: 20_000 };
    let first = timed(base, "one claim", db.claim_job(&who)).await.unwrap().unwrap();
    assert_eq!((first.priority, first.id.as_str()), (2, "job-008003"));
    let claim_all = async {
        let mut claimed = 0;
        while db.claim_job(&who).await.unwrap().is_some() {
            claimed += 1;
        }
        claimed
    };
    assert_eq!(timed(base, "999 claims and one in vain", claim_all).await, 999);
    let enqueue = async {
        for n in 0..100 {
            let job = NewJob {
                work: Work::Verify(work::Verify::default()),
                repo: None,
                repo_name: format!("models/new/{n}"),
                priority: 0,
            };
            assert!(db.enqueue(&job, &JobId::new(format!("new-{n}")), 5, 30_000).await.unwrap().1);
        }
    };
    timed(base, "100 jobs enqueued", enqueue).await;
    assert_eq!(timed(base, "1000 jobs reclaimed", db.reclaim_jobs(Gone::Silent, i64::MAX)).await.unwrap().len(), 1000);
    assert_eq!(timed(base, "1000 old jobs forgotten", db.prune_jobs(i64::MAX)).await.unwrap(), 1000);
}

const FOLDERS: usize = 100;
const FILES: usize = 1000;

/// The content of a file by its number; each is of its own.
fn content(number: usize) -> Digest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    Digest::from_bytes(bytes)
}

fn git(number: usize) -> GitOid {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    GitOid::from_bytes(bytes)
}

/// Every tenth file is large, the others are git's own.
fn entry(number: usize) -> Entry {
    let name = format!("folder-{:03}/file-{:04}.bin", number / FILES, number % FILES);
    let content =
        if number.is_multiple_of(10) { ContentId::Sha256(content(number)) } else { ContentId::Git(git(number)) };
    Entry::File(Artifact { path: path(&name), size: 100, content, oid: Some(git(number)), xet_hash: None })
}

async fn write_files(db: &Db, row: &ModelId, commit: &CommitId) {
    for n in 0..FOLDERS {
        let mut entries: Vec<Entry> = (n * FILES..(n + 1) * FILES).map(entry).collect();
        entries.push(folder(&format!("folder-{n:03}")));
        db.put_entries(row, commit, &entries).await.unwrap();
    }
    db.complete_tree(row, commit).await.unwrap();
}

async fn a_hundred_thousand_files_are_listed_counted_and_stored(base: &TestDatabase) {
    let db = base.open().await;
    let (row, commit) = repo_with_commit(&db).await;
    timed(base, "100 000 files written", write_files(&db, &row, &commit)).await;
    // A third of them is here.
    let store = async {
        for number in (0..FOLDERS * FILES).step_by(300) {
            put_blob(&db, content(number), Some(git(number)), 100, 1).await.unwrap();
        }
    };
    timed(base, "334 blobs stored", store).await;
    let page = async |page: FilePage| db.file_page(&row, &commit, &FilePage { limit: 1001, ..page }).await.unwrap();
    let root = timed(base, "the root with the sums of 100 folders", page(FilePage::default())).await;
    assert_eq!(root.len(), FOLDERS);
    let sum = root.iter().fold(FileTotals::default(), |sum, row| FileTotals {
        files: sum.files + row.totals.files,
        bytes: sum.bytes + row.totals.bytes,
        files_here: sum.files_here + row.totals.files_here,
        bytes_here: sum.bytes_here + row.totals.bytes_here,
    });
    assert_eq!(sum, FileTotals { files: 100_000, bytes: 10_000_000, files_here: 334, bytes_here: 33_400 });
    let folder = FilePage { folder: "folder-050".into(), ..FilePage::default() };
    assert_eq!(timed(base, "a folder of 1000 files", page(folder)).await.len(), FILES);
    let flat = FilePage { flat: true, after: "folder-050/".into(), ..FilePage::default() };
    assert_eq!(timed(base, "a flat page of 1001 in the middle", page(flat)).await.len(), 1001);
    let search = FilePage { flat: true, search: "FILE-0999".into(), ..FilePage::default() };
    assert_eq!(timed(base, "a search that finds 100", page(search)).await.len(), FOLDERS);
    let here = FilePage { flat: true, stored: Some(true), ..FilePage::default() };
    assert_eq!(timed(base, "the 334 that are here", page(here)).await.len(), 334);
    assert_eq!(timed(base, "its counts", db.recount_models(10)).await.unwrap(), 1);
    let (models, _) = db.models(&ModelFilter { limit: 10, ..ModelFilter::default() }).await.unwrap();
    assert_eq!((models[0].files, models[0].files_here), (100_000, 334));
    let usage = timed(base, "what takes the space", db.usage(10)).await.unwrap();
    assert_eq!((usage[0].files, usage[0].own_bytes), (334, 33_400));
    assert_eq!(timed(base, "what nothing names", db.unreferenced_bytes()).await.unwrap(), 0);
    let everything = EvictionRule { unused_since: i64::MAX, free_bytes: 0, include_unrecoverable: false, only: None };
    assert_eq!(timed(base, "what may be evicted", db.evictable(&everything, 1000)).await.unwrap().len(), 334);
    let (planned, _) = timed(base, "what an eviction would remove", db.eviction(&everything)).await.unwrap();
    assert_eq!((planned.goes.files, planned.kept.files), (334, 0));
    let losers = timed(base, "what each model would lose", db.eviction_by_repo(&everything, 10)).await.unwrap();
    assert_eq!((losers.len(), losers[0].own_bytes), (1, 33_400));
    assert_eq!(timed(base, "names by format", db.stored_names("", 1000)).await.unwrap().len(), 334);
    let two = crate::database::commit('2');
    db.put_revision(&row, Some("main"), &two, None, 2).await.unwrap();
    timed(base, "100 000 files written again, at another commit", write_files(&db, &row, &two)).await;
    let changes = timed(base, "what changed between the commits", db.count_changes(&row, &commit, &two)).await;
    assert!(changes.unwrap().is_empty());
    timed(base, "the model deleted", db.delete_model(&row)).await.unwrap();
}

/// What SQLite would do for a statement.
async fn plan(base: &TestDatabase, sql: &str) -> String {
    base.plan(sql).await.join("; ")
}

async fn what_is_looked_up_often_is_looked_up_by_an_index(base: &TestDatabase) {
    let db = base.open().await;
    if base.is_postgres() {
        // Its planner decides by the sizes of tables; the figures above speak for it.
        return;
    }
    let (row, commit) = repo_with_commit(&db).await;
    db.put_entries(&row, &commit, &[entry(0), entry(1)]).await.unwrap();
    for (sql, index) in [
        (
            "select id from job indexed by job_claim where status = 'pending' and run_at <= 1 order by priority desc, id limit 1",
            "job_claim",
        ),
        (
            "select worker, count(*) from job where status = 'running' and kind = 'download' group by worker",
            "job_status",
        ),
        // By either of its two: few jobs run at once.
        ("select id from job where status = 'running' and (lease_until < 1 or worker = 'x')", "USING INDEX job_"),
        (
            "select status, count(*) from job where status in ('pending', 'running', 'paused', 'failed') group by status",
            "job_status",
        ),
        ("select id from job where dedup_key = 'x' and status in ('pending', 'running', 'paused')", "job_live"),
        (
            "select id from job where repo = 'x' and status in ('pending', 'running', 'paused') order by id desc limit 1",
            "job_repo",
        ),
        ("select distinct repo from model_artifact where sha256 = 'x'", "model_artifact_sha256"),
        ("select distinct repo from model_artifact where sha256 is null and oid = 'x'", "model_artifact_oid"),
        ("select id from model_repo where stale = 1 limit 10", "model_repo_stale"),
        (
            "select id from model_repo where sync_every_ms > 0 and coalesce(synced_at, 0) + sync_every_ms <= 1",
            "model_repo_schedule",
        ),
        (
            "select file_path from model_artifact a where a.repo = 'r' and a.commit_id = 'c' and a.parent = '' and a.file_path > '' order by a.file_path limit 100",
            "model_artifact_parent",
        ),
        ("select sha256 from blob where last_used_at < 1 order by last_used_at, sha256 limit 10", "blob_last_used"),
    ] {
        let plan = plan(base, sql).await;
        assert!(plan.contains(index), "{sql}\nis done as: {plan}");
        assert!(!plan.contains("ORDER BY"), "{sql}\nis done as: {plan}");
    }
}
