//! The not-before mark: a number in the store's one row. Who raises it waits for that row as every writer of the log does.

use super::super::{Entry, Mark, StateError};
use super::step::Step;
use super::unsigned;
use crate::database::{On, query, signed};

pub(super) async fn raise(step: &mut Step) -> Result<Mark, StateError> {
    // Locks the row, so that the mark read next is the one that is raised.
    query("UPDATE state_store SET mark = mark + 1").run(&mut step.change).await?;
    let before = Mark(read(&mut step.change).await?.0 - 1);
    let mark = before.next(step.now);
    query("UPDATE state_store SET mark = ?").bind(signed(mark.0)).run(&mut step.change).await?;
    step.tell(Entry::Everyone(mark));
    Ok(mark)
}

pub(super) async fn read(on: impl Into<On<'_>>) -> Result<Mark, StateError> {
    let (mark,): (i64,) = query("SELECT mark FROM state_store").one(on).await?;
    Ok(Mark(unsigned(mark)?))
}
