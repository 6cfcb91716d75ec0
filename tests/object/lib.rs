//! A package of tests only: see main.rs.
