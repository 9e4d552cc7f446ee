//! What is fuzzed: each target takes any bytes and panics where a promise is broken. `fuzz_targets/` gives them to libFuzzer,
//! `tests/fuzz.rs` runs them for seconds over `corpus/` and what it makes of that.

mod check_request;
mod config;
mod credential;
mod door;
mod path;
mod token;

pub use check_request::check_request;
pub use config::config;
pub use credential::{authorization, cookie};
pub use path::path;
pub use token::token;
