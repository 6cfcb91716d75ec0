//! Models on this machine's disk, imported: the job around `import`.

use super::jobs::{Done, JobRun};
use super::{Error, Hub, Result};

impl Hub {
    /// Runs a job of the kind scan.
    pub async fn scan(&self, run: &JobRun) -> Result<Done> {
        Err(Error::NotSupported(format!("scanning {} is not built yet", run.job.payload.path)))
    }
}
