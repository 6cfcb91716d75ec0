//! What a download would do, before it does it.

use std::collections::{BTreeMap, HashSet};

use super::{Models, Result};
use crate::db::FileTotals;
use crate::domain::gguf_file::Quantisation;
use crate::domain::selection::LeftOut;
use crate::domain::{Artifact, ByteSize, ContentId, Selection, WeightFormat};
use crate::hub::error::of_which;
use crate::hub::repos::ResolvedRevision;

/// The largest files that a plan names.
const NAMED: usize = 1000;

/// What a download would do.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub commit: String,
    pub totals: FileTotals,
    /// Content that has to be downloaded; what several files share counts once.
    pub to_fetch: u64,
    /// The space that is left: on the disk, or up to the store's limit; if that does not suffice, with what the store would
    /// remove by itself.
    pub disk_free: u64,
    /// The store's limit, if that is what bounds the space.
    pub limit: Option<u64>,
    /// With `limit`: what is in quarantine, of the space that is used.
    pub quarantined: u64,
    pub largest: Vec<(Artifact, bool)>,
    pub warnings: Vec<String>,
    /// Of the selection before its preset, the smallest first.
    pub quantisations: Vec<Quantisation>,
    /// What the preset does not take: files and bytes of each kind.
    pub left_out: BTreeMap<LeftOut, (u64, u64)>,
}

impl Plan {
    pub fn fits(&self) -> bool {
        self.to_fetch <= self.disk_free
    }
}

impl Models {
    /// Of a commit whose files are listed.
    pub(super) async fn plan(&self, resolved: &ResolvedRevision, selection: &Selection) -> Result<Plan> {
        let (matcher, weights) = self.settled(&resolved.repo.row, &resolved.commit, selection).await?;
        let quantisations = weights.quantisations;
        let left_out = matcher.left_out();
        let mut plan = Plan { commit: resolved.commit.to_string(), quantisations, left_out, ..Plan::default() };
        let mut contents: HashSet<ContentId> = HashSet::new();
        let (mut pickles, mut safe) = (0, 0);
        let mut after = String::new();
        while let Some(files) = self.selected(&resolved.repo.row, &resolved.commit, &matcher, &mut after).await? {
            for (artifact, is_here) in files {
                plan.totals.add(artifact.size, is_here);
                if !is_here && contents.insert(artifact.content) {
                    plan.to_fetch += artifact.size;
                }
                match WeightFormat::of(&artifact.path) {
                    Some(WeightFormat::Safetensors | WeightFormat::Gguf) => safe += 1,
                    Some(format) if format.can_run_code() => pickles += 1,
                    _ => {}
                }
                plan.largest.push((artifact, is_here));
            }
            plan.largest.sort_by_key(|(artifact, _)| std::cmp::Reverse(artifact.size));
            plan.largest.truncate(NAMED);
        }
        let room = self.store.room(plan.to_fetch, contents, &resolved.repo.row).await?;
        (plan.disk_free, plan.limit, plan.quarantined) = (room.bytes, room.limit, room.quarantined);
        if plan.totals.files == 0 {
            plan.warnings.push("no file matches the selection".into());
        }
        if plan.totals.files > 0 && !weights.preset_finds_any {
            plan.warnings.push("there are no weights that the preset takes".into());
        }
        if pickles > 0 && safe == 0 {
            plan.warnings.push("the weights are pickle files, which can run code when loaded".into());
        }
        if !plan.fits() {
            plan.warnings.push(match plan.limit {
                None => "not enough disk space".into(),
                Some(limit) => {
                    format!("it exceeds the store limit of {}{}", ByteSize(limit), of_which(plan.quarantined))
                }
            });
        }
        Ok(plan)
    }
}
