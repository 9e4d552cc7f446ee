//! Whose sessions a command means: an account's, by its address or id, or those of any subject.

use std::sync::Arc;

use anyhow::{anyhow, bail};
use clap::Args;

use crate::authn::identifier::Email;
use crate::users::Users;
use crate::users::sql::SqlUsers;

#[derive(Debug, Args)]
#[group(id = "whom", multiple = false)]
pub(super) struct Whom {
    /// Of this subject; with an `@`, of the account that has this address
    #[arg(long, value_name = "SUBJECT", conflicts_with = "all")]
    user: Option<String>,
    /// Of the subject that is written just so in `sub`, though it have an `@`
    #[arg(long, value_name = "SUBJECT", conflicts_with = "all")]
    subject: Option<String>,
}

impl Whom {
    /// As it was typed.
    pub(super) fn typed(&self) -> Option<&str> {
        self.user.as_deref().or(self.subject.as_deref())
    }

    /// The subject that is meant. `users` is opened only to look an address up.
    pub(super) async fn subject(
        &self,
        users: impl AsyncFnOnce() -> anyhow::Result<Arc<SqlUsers>>,
    ) -> anyhow::Result<Option<String>> {
        let Some(address) = self.user.as_deref().filter(|user| user.contains('@')) else {
            return Ok(self.typed().map(str::to_owned));
        };
        let instead = format!("for a subject that is no account's write --subject {address:?}");
        let Ok(email) = address.parse::<Email>() else {
            bail!("{address:?} is no email address; {instead}");
        };
        let users = users().await.map_err(|error| error.context(format!("no address can be looked up; {instead}")))?;
        let found = users.find_by_email(email.as_str()).await?;
        let found = found.ok_or_else(|| anyhow!("no account has the address {address:?}; {instead}"))?;
        Ok(Some(found.user.id.as_str().to_owned()))
    }
}
