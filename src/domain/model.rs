//! What is known of a model, in words that tables, JSON and people share.

use super::job::words;

words! {
    /// Whether its refs and files are known.
    ModelStatus {
        /// Not yet.
        Registered = "registered",
        Synced = "synced",
        /// The last sync failed.
        Error = "error",
    }
}

words! {
    /// Where a model comes from.
    ModelSource {
        /// From upstream, though its files may have come from a folder.
        HuggingFace = "huggingface",
        /// From a folder of this machine only.
        Local = "local",
    }
}
