//! The first administrator. No account is there by default (SEC-L12): where nobody has the role yet, whoever reads a secret
//! from a file beside the keys, once, may make one. The command line can too: `doorward user add --role admin`.

use std::fs;
use std::path::{Path, PathBuf};

use super::admin::{ADMIN, Admin};
use super::{AccountError, Accounts, read};
use crate::audit::Event;
use crate::issue::Call;
use crate::secret::{base64url, constant_time_eq, random_bytes};
use crate::token::keys::files;
use crate::users::{User, UserError, Users};

/// The file's name, in `keys.dir`.
const NAME: &str = "first-admin.secret";

/// Where the one-time secret lies while there is no administrator.
#[derive(Clone, Debug)]
pub struct FirstAdmin {
    file: PathBuf,
}

impl FirstAdmin {
    pub fn in_folder(keys: &Path) -> Self {
        Self { file: keys.join(NAME) }
    }

    /// At start: writes the secret where nobody is administrator, and removes it where somebody is. Tells the file, where
    /// there is one to be used.
    pub async fn prepare(&self, users: &dyn Users) -> Result<Option<&Path>, UserError> {
        if !users.holders(ADMIN).await?.is_empty() {
            self.remove();
            return Ok(None);
        }
        if self.file.exists() {
            return Ok(Some(&self.file));
        }
        let folder = self.file.parent().unwrap_or_else(|| Path::new("."));
        let secret = format!("{}\n", base64url(&random_bytes::<32>()));
        match files::write_private(folder, NAME, secret.as_bytes()) {
            Ok(_) => Ok(Some(&self.file)),
            Err(error) => {
                // A folder of keys is often mounted read-only.
                tracing::info!(%error, "no one-time secret was written; the first administrator is made by: doorward user add --role admin");
                Ok(None)
            }
        }
    }

    fn holds(&self, shown: &str) -> bool {
        let kept = files::read_private(&self.file).unwrap_or_default();
        let kept = kept.trim_ascii();
        !kept.is_empty() && constant_time_eq(kept, shown.as_bytes())
    }

    /// What can't be removed is of no use any more: there is an administrator.
    fn remove(&self) {
        let _ = fs::remove_file(&self.file);
    }
}

impl Accounts {
    /// Makes the first administrator's account for who shows the one-time secret. With several nodes it is the one that was
    /// asked whose file counts.
    pub async fn create_first_admin(
        &self,
        way: &FirstAdmin,
        secret: &str,
        email: &str,
        password: &str,
        call: &Call,
    ) -> Result<User, AccountError> {
        let (email, password) = read(email, password)?;
        self.may_try(&email, call).await?;
        self.parts.passwords.judge(&password, &email)?;
        let somebody_is = !self.parts.users.holders(ADMIN).await?.is_empty();
        if somebody_is {
            way.remove();
        }
        if somebody_is || !way.holds(secret) {
            self.parts.issuer.record(call, Event::AuthzFail, None, None, "first_admin_refused");
            return Err(AccountError::FirstAdmin);
        }
        let user = self.create(&email, Some(&password), vec![ADMIN.to_owned()], call).await?;
        way.remove();
        self.parts.issuer.record(call, Event::AuthzChange, Some(user.id.as_str()), None, "first_admin");
        Ok(user)
    }
}

impl Admin<'_> {
    /// Closes the way of the first administrator where somebody is one: a file left behind would open it again once the last has
    /// lost the role.
    pub async fn close_first_way(&self, way: &FirstAdmin) -> Result<(), AccountError> {
        if !self.accounts.parts.users.holders(ADMIN).await?.is_empty() {
            way.remove();
        }
        Ok(())
    }

    /// How many can administrate.
    pub async fn enabled_administrators(&self) -> Result<usize, AccountError> {
        let holders = self.accounts.parts.users.holders(ADMIN).await?;
        Ok(holders.iter().filter(|user| !user.disabled).count())
    }
}
