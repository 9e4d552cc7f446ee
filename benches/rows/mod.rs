//! The rows of the table, in the order in which they are measured.

mod warm;

use crate::kit::world::World;
use crate::table::Line;

pub struct Row {
    /// As `./bench ROW` names it.
    pub name: &'static str,
    pub what: &'static str,
    pub measure: fn(&World) -> Vec<Line>,
}

pub const ALL: &[Row] =
    &[Row { name: "http", what: "warm check, HTTP/1 keep-alive, tokens in turn", measure: warm::http }];

pub fn find(name: &str) -> Option<&'static Row> {
    ALL.iter().find(|row| row.name == name)
}
