//! Changes of an account of which one half is done: the users' database has it, and the token store did not answer. The change
//! stays, as it refuses sign-in and refresh at once; a repeat does the other half. `admin` says so.

use super::AccountError;
use crate::state::StateError;

/// What stands in the users' database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfDone {
    Disabled,
    Roles,
    Password,
    Deleted,
}

impl HalfDone {
    /// What is done, what is not, what to do, and what counts meanwhile.
    pub const fn told(self) -> &'static str {
        match self {
            Self::Disabled => {
                "The account is disabled, but its sessions could not be ended: repeat this when the token store answers. \
                 Until then nobody signs in to it or refreshes, and its access tokens live for at most auth.access_lifetime"
            }
            Self::Roles => {
                "The roles are set, but access tokens with the old ones could not be refused: repeat this when the token \
                 store answers. Until then they live for at most auth.access_lifetime"
            }
            Self::Password => {
                "The password is set, but the account's sessions could not be ended: repeat this when the token store \
                 answers. Until then they may be refreshed, and live for longer than auth.access_lifetime"
            }
            Self::Deleted => {
                "The account is deleted, but its sessions could not be ended: repeat this with its id when the token store \
                 answers. Until then nobody refreshes them, and access tokens live for at most auth.access_lifetime"
            }
        }
    }

    /// Where the token store failed, this half is done.
    pub(super) fn or(self, error: AccountError) -> AccountError {
        match error {
            AccountError::State(source) => AccountError::HalfDone(self, source),
            other => other,
        }
    }

    pub(super) fn but(self, error: StateError) -> AccountError {
        AccountError::HalfDone(self, error)
    }
}
