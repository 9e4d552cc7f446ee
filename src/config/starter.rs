//! `config init`: a commented file to start from. That it passes `config check` is tested.

/// The file's text.
pub const STARTER: &str = include_str!("starter.yaml");
