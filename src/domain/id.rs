//! Names of models, jobs and workers, so that one is never taken for another.

use std::fmt;
use std::sync::Arc;

/// Declares a name that is a text.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, text: &&str) -> bool {
                *self.0 == **text
            }
        }
    };
}

id! {
    /// The row of a repository, which is a model when somebody has registered it: a UUIDv7. It stays when the
    /// repository gets another name.
    ModelId
}

id! {
    /// A UUIDv7: newer jobs have greater ids.
    JobId
}

id! {
    /// A machine and a number. No two running processes have the same one.
    WorkerId
}

impl ModelId {
    /// A new one.
    pub fn generate() -> Self {
        Self::new(uuid::Uuid::now_v7().to_string())
    }
}
