//! Hashing passwords: slow on purpose, so on few threads and behind a bounded queue.

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use domain::values::{Password, PasswordHash};
use tokio::sync::oneshot;

/// Hashes and verifies. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    jobs: SyncSender<Job>,
}

/// Verified where there is no account, so that this takes as long.
static DUMMY: LazyLock<PasswordHash> =
    LazyLock::new(|| hash(b"nobody's").unwrap_or_else(|| PasswordHash::new(String::new())));

type Job = Box<dyn FnOnce() + Send>;

/// Too many passwords wait to be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

/// What came of comparing a password with a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verified {
    Yes {
        /// The hash was made with other parameters than today's.
        outdated: bool,
    },
    No,
}

const QUEUE: usize = 512;
const PATIENCE: Duration = Duration::from_secs(10);
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

impl Default for Passwords {
    fn default() -> Self {
        Self::with(std::thread::available_parallelism().map_or(1, usize::from), QUEUE)
    }
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

impl Passwords {
    /// The threads are of this alone: a hash takes 19 MiB, which every thread that ever made one may keep.
    fn with(threads: usize, queue: usize) -> Self {
        let (jobs, waiting) = mpsc::sync_channel::<Job>(queue);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let waiting = waiting.clone();
            std::thread::spawn(move || {
                step_back();
                while let Some(job) = next(&waiting) {
                    job();
                }
            });
        }
        Self { jobs }
    }

    pub(crate) async fn hash(&self, password: &Password) -> Result<PasswordHash, Busy> {
        let password = password.clone();
        self.in_turn(move || hash(password.as_bytes())).await?.ok_or(Busy)
    }

    /// Whether it is the password; without a hash to compare with it takes as long and is not.
    pub(crate) async fn verify(
        &self,
        password: Option<&Password>,
        hash: Option<&PasswordHash>,
    ) -> Result<Verified, Busy> {
        let known = hash.is_some() && password.is_some();
        let (password, hash) = (password.cloned(), hash.cloned());
        let verified = self.in_turn(move || verify(password.as_ref(), hash.as_ref().unwrap_or(&DUMMY))).await?;
        Ok(if known { verified } else { Verified::No })
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let (answer, answered) = oneshot::channel();
        let job = move || {
            // Nobody is there any more who would wait for it.
            if !answer.is_closed() {
                let _ = answer.send(work());
            }
        };
        self.jobs.try_send(Box::new(job)).map_err(|_| Busy)?;
        tokio::time::timeout(PATIENCE, answered).await.map_err(|_| Busy)?.map_err(|_| Busy)
    }
}

/// This thread works when no other wants to: whoever signs in takes a hundred times as long as whoever chats.
#[cfg(target_os = "linux")]
fn step_back() {
    const LAST: i32 = 19;
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), LAST) {
        tracing::debug!(%error, "passwords are hashed at the same priority as all else");
    }
}

/// Elsewhere a priority is the whole process's.
#[cfg(not(target_os = "linux"))]
const fn step_back() {}

/// The next job; `None` when nobody can send one any more.
fn next(waiting: &Mutex<Receiver<Job>>) -> Option<Job> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

fn argon2() -> Option<Argon2<'static>> {
    let parameters = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

fn hash(password: &[u8]) -> Option<PasswordHash> {
    let hash: phc::PasswordHash = argon2()?.hash_password(password).ok()?;
    Some(PasswordHash::new(hash.to_string()))
}

fn verify(password: Option<&Password>, hash: &PasswordHash) -> Verified {
    let typed = password.map_or(b"".as_slice(), Password::as_bytes);
    let matches = phc::PasswordHash::new(hash.as_str())
        .is_ok_and(|hash| argon2().is_some_and(|argon2| argon2.verify_password(typed, &hash).is_ok()));
    let todays = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$");
    if matches { Verified::Yes { outdated: !hash.as_str().starts_with(&todays) } } else { Verified::No }
}

#[cfg(test)]
mod tests {
    use domain::values::PasswordPolicy;

    use super::*;

    fn password(text: &str) -> Password {
        Password::chosen(text.to_owned(), PasswordPolicy::Plain).unwrap()
    }

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_alone() {
        let passwords = Passwords::default();
        let right = password("correct horse");
        let hash = passwords.hash(&right).await.unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(passwords.verify(Some(&right), Some(&hash)).await, Ok(Verified::Yes { outdated: false }));
        assert_eq!(passwords.verify(Some(&password("wrong horse")), Some(&hash)).await, Ok(Verified::No));
        assert_eq!(passwords.verify(Some(&right), None).await, Ok(Verified::No));
        assert_eq!(passwords.verify(None, Some(&hash)).await, Ok(Verified::No));
    }

    #[tokio::test]
    async fn a_hash_of_other_parameters_still_verifies_and_is_outdated() {
        let weaker = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let hash: phc::PasswordHash = weaker.hash_password(b"correct horse").unwrap();
        let hash = PasswordHash::new(hash.to_string());
        let verified = Passwords::default().verify(Some(&password("correct horse")), Some(&hash)).await;
        assert_eq!(verified, Ok(Verified::Yes { outdated: true }));
    }

    #[tokio::test]
    async fn who_finds_the_queue_full_is_told_at_once() {
        let passwords = Passwords::with(1, 1);
        let (begun, has_begun) = oneshot::channel();
        let (open, gate) = mpsc::channel::<()>();
        let busy = passwords.in_turn(move || {
            begun.send(()).unwrap();
            gate.recv().unwrap();
        });
        let others = async {
            has_begun.await.unwrap();
            let right = password("correct horse");
            let full = async {
                let refused = passwords.hash(&right).await;
                open.send(()).unwrap();
                refused
            };
            tokio::join!(passwords.hash(&right), full)
        };
        let (first, (second, third)) = tokio::join!(busy, others);
        assert_eq!((first, second.is_ok(), third), (Ok(()), true, Err(Busy)));
    }
}
