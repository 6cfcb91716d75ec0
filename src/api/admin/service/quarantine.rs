//! The quarantine: listed, emptied, and one file of it removed.

use super::Service;
use crate::api::admin::convert;
use crate::api::admin::problem::{Answer, Problem};
use crate::domain::millis;
use crate::hub::{Amount, NamedFile, QUARANTINE_KEPT, Quarantine, QuarantineName, Quarantined};
use crate::pb;

impl Service {
    pub(in crate::api) async fn list_quarantine(
        &self,
        _: pb::ListQuarantineRequest,
    ) -> Answer<pb::ListQuarantineResponse> {
        let Quarantine { total, files } = self.hub.models.quarantine().await?;
        Ok(pb::ListQuarantineResponse {
            files: files.into_iter().map(file_message).collect(),
            total: total.files,
            bytes: total.bytes,
        })
    }

    pub(in crate::api) async fn empty_quarantine(
        &self,
        _: pb::EmptyQuarantineRequest,
    ) -> Answer<pb::EmptyQuarantineResponse> {
        Ok(removed(self.hub.models.empty_quarantine().await?))
    }

    pub(in crate::api) async fn delete_quarantined_file(
        &self,
        request: pb::DeleteQuarantinedFileRequest,
    ) -> Answer<pb::EmptyQuarantineResponse> {
        let name = QuarantineName::parse(&request.name).map_err(Problem::of("name"))?;
        Ok(removed(self.hub.models.delete_quarantined(name).await?))
    }
}

fn file_message((file, names): (Quarantined, Vec<NamedFile>)) -> pb::QuarantinedFile {
    let named = |file: NamedFile| pb::NamedFile {
        model_id: file.model.into(),
        kind: file.key.kind.as_str().into(),
        repo_id: file.key.id.to_string(),
        file_path: file.path,
    };
    let Quarantined { text, name, size } = file;
    pb::QuarantinedFile {
        name: text,
        content_hash: name.map(|name| name.content.to_string()).unwrap_or_default(),
        size_bytes: size,
        quarantined_at: convert::time(name.map(|name| name.at)),
        expires_at: convert::time(name.map(|name| name.at + millis(QUARANTINE_KEPT))),
        named_by: names.into_iter().map(named).collect(),
    }
}

fn removed(removed: Amount) -> pb::EmptyQuarantineResponse {
    pb::EmptyQuarantineResponse { files: removed.files, bytes: removed.bytes }
}
