//! The mock is tested like what it imitates: through its two ports.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in its helpers")]

mod access;
mod control;
mod faults;
mod files;
mod life;
mod metadata;
mod support;
