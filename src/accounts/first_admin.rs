//! The first administrator. No account is there by default (SEC-L12): where nobody has the role yet, whoever reads a secret
//! from a file beside the keys, once, may make one. The command line can too: `doorward user add --role admin`.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::admin::ADMIN;
use super::{AccountError, Accounts, read};
use crate::audit::Event;
use crate::issue::Call;
use crate::secret::{base64url, constant_time_eq, random_bytes};
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
        if users.anyone_has(ADMIN).await? {
            self.remove();
            return Ok(None);
        }
        match self.write() {
            Ok(()) => Ok(Some(&self.file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Some(&self.file)),
            Err(error) => {
                let file = self.file.display();
                tracing::warn!(%error, %file, "no one-time secret could be written; use: doorward user add --role admin");
                Ok(None)
            }
        }
    }

    fn write(&self) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.file)?;
        writeln!(file, "{}", base64url(&random_bytes::<32>()))?;
        file.sync_all()
    }

    fn holds(&self, shown: &str) -> bool {
        let kept = fs::read_to_string(&self.file).unwrap_or_default();
        let kept = kept.trim();
        !kept.is_empty() && constant_time_eq(kept.as_bytes(), shown.as_bytes())
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
        if !way.holds(secret) || self.parts.users.anyone_has(ADMIN).await? {
            self.parts.issuer.record(call, Event::AuthzFail, None, None, "first_admin_refused");
            return Err(AccountError::FirstAdmin);
        }
        let user = self.create(&email, Some(&password), vec![ADMIN.to_owned()], call).await?;
        way.remove();
        self.parts.issuer.record(call, Event::AuthzChange, Some(user.id.as_str()), None, "first_admin");
        Ok(user)
    }
}
