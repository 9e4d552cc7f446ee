//! Tokens and keys: what no hostile token, key file or key set may achieve, and what honest ones must.

mod claims;
mod foreign;
mod hostile;
mod key_files;
mod key_sets;
mod parser;
mod remote;
mod rotation;
mod workbench;
mod wycheproof;
