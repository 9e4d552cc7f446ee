//! What every row needs: processes, tokens, what they cost, and the rule of comparison.

pub mod compare;
pub mod cost;
pub mod edges;
pub mod questions;
pub mod quota;
pub mod world;
