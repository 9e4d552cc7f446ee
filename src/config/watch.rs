//! Notices changes of the configuration: by the content of its files, looked at every two seconds. Content, not file
//! events: a ConfigMap changes by a swapped symbolic link, an editor by a renamed file, and both are just other bytes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Config;
use crate::secret::Digest;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(2);
/// More than any configuration, key or list of keys has.
const MOST_BYTES: u64 = 4 << 20;

/// The files a configuration rests on, and what they held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    files: Vec<PathBuf>,
    /// One for each file.
    digests: Vec<Digest>,
    keys_dir: PathBuf,
}

impl Watched {
    pub(super) fn of(config_file: Option<&Path>, config: &Config) -> Self {
        let named = [
            &config.state.url_file,
            &config.state.ca_file,
            &config.users.url_file,
            &config.auth.trusted_login.caller_keys_file,
            &config.keys.dir,
            &config.keys.secret_file,
            &config.check.hs256_secret_file,
        ];
        let named = named.into_iter().filter(|name| !name.is_empty()).map(PathBuf::from);
        let files: Vec<_> = config_file.map(Path::to_owned).into_iter().chain(named).collect();
        let digests = digests_of(&files);
        Self { files, digests, keys_dir: PathBuf::from(&config.keys.dir) }
    }

    /// What the files held when this was made.
    pub fn digest(&self) -> Digest {
        let bytes: Vec<&[u8]> = self.digests.iter().map(|digest| digest.as_bytes().as_slice()).collect();
        Digest::of_parts(&bytes)
    }

    fn look_again(&self) -> Vec<Digest> {
        digests_of(&self.files)
    }

    /// The first start makes the keys after the configuration was read: that is no change.
    fn with_keys_made(mut self) -> Self {
        for (file, digest) in self.files.iter().zip(&mut self.digests) {
            if *file == self.keys_dir {
                *digest = digest_one(file);
            }
        }
        self
    }
}

/// Tells when a file has changed.
#[derive(Debug)]
pub struct Watch {
    watched: Watched,
    every: Duration,
}

impl Watch {
    /// Begins when everything has started.
    pub fn new(watched: Watched) -> Self {
        Self { watched: watched.with_keys_made(), every: EVERY }
    }

    /// Waits for the next change. A change is told once it has held still for one look, so that a file in the middle of
    /// being written is not read.
    pub async fn changed(&mut self) {
        let mut seen = self.watched.digests.clone();
        loop {
            tokio::time::sleep(self.every).await;
            let watched = self.watched.clone();
            // Off the async threads: the files may lie on a slow disk.
            let Ok(now) = tokio::task::spawn_blocking(move || watched.look_again()).await else { continue };
            if now != self.watched.digests && now == seen {
                self.watched.digests = now;
                return;
            }
            seen = now;
        }
    }

    /// Watches other files from now on: after a reload that named others.
    pub fn follow(&mut self, watched: Watched) {
        self.watched = watched;
    }
}

fn digests_of(files: &[PathBuf]) -> Vec<Digest> {
    files.iter().map(|file| digest_one(file)).collect()
}

/// A folder's digest is that of the names and contents of its files; what can't be read counts as empty.
fn digest_one(file: &Path) -> Digest {
    if let Ok(entries) = std::fs::read_dir(file) {
        let mut paths: Vec<_> =
            entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_file()).collect();
        paths.sort();
        let parts: Vec<_> = paths.iter().map(|path| (path.as_os_str().as_encoded_bytes(), digest_one(path))).collect();
        let bytes: Vec<&[u8]> = parts.iter().flat_map(|(name, digest)| [*name, digest.as_bytes().as_slice()]).collect();
        return Digest::of_parts(&bytes);
    }
    let small = std::fs::metadata(file).is_ok_and(|meta| meta.len() <= MOST_BYTES);
    Digest::of(&if small { std::fs::read(file).unwrap_or_default() } else { Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_swapped_symbolic_link_is_a_change_and_an_untouched_file_is_none() {
        let dir = tempfile::tempdir().expect("a folder");
        let (old, new, link) = (dir.path().join("old"), dir.path().join("new"), dir.path().join("doorward.yaml"));
        std::fs::write(&old, "workers: 1").expect("written");
        std::fs::write(&new, "workers: 2").expect("written");
        std::os::unix::fs::symlink(&old, &link).expect("linked");
        let config = Config {
            keys: crate::token::keys::Settings { dir: String::new(), ..Default::default() },
            ..Config::default()
        };
        let every = Duration::from_millis(5);
        let mut watch = Watch { watched: Watched::of(Some(&link), &config), every };

        let untouched = tokio::time::timeout(every * 20, watch.changed()).await;
        assert!(untouched.is_err(), "nothing has changed");
        std::fs::remove_file(&link).expect("removed");
        std::os::unix::fs::symlink(&new, &link).expect("linked");
        tokio::time::timeout(Duration::from_secs(10), watch.changed()).await.expect("the swap is noticed");
    }

    #[test]
    fn keys_that_the_first_start_makes_are_no_change_but_an_edited_file_is() {
        let dir = tempfile::tempdir().expect("a folder");
        let (file, keys) = (dir.path().join("doorward.yaml"), dir.path().join("keys"));
        std::fs::write(&file, "workers: 1").expect("written");
        let dir = keys.to_str().expect("UTF-8").to_owned();
        let config = Config { keys: crate::token::keys::Settings { dir, ..Default::default() }, ..Config::default() };
        let watched = Watched::of(Some(&file), &config);
        std::fs::create_dir(&keys).expect("made");
        std::fs::write(keys.join("one.pem"), "key").expect("written");
        let watch = Watch::new(watched.clone());
        assert_eq!(watch.watched.digests, watch.watched.look_again(), "nothing has changed since the start");
        std::fs::write(&file, "workers: 2").expect("written");
        let watch = Watch::new(watched);
        assert_ne!(watch.watched.digests, watch.watched.look_again(), "edited while starting");
    }
}
