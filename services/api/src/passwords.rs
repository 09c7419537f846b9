//! Hashing passwords: slow on purpose, so on few threads and behind a bounded queue.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::phc::{self, Output, ParamsString, Salt};
use argon2::password_hash::try_generate_salt;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use domain::values::{Password, PasswordHash};
use tokio::sync::{Semaphore, oneshot};

/// Hashes and verifies. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    jobs: Sender<Job>,
    /// Whoever waits has one.
    places: Arc<Semaphore>,
    /// How many there are.
    room: usize,
    others: Arc<Others>,
}

/// Requests that need no hash. While there are any, one core is left to them: however low a thread's priority, the kernel
/// lets it end its time slice before others that have just woken up.
#[derive(Debug)]
struct Others {
    begun: Instant,
    /// When the last one came, in milliseconds since `begun`; 0 for never.
    last: AtomicU64,
}

impl Default for Others {
    fn default() -> Self {
        Self { begun: Instant::now(), last: AtomicU64::new(0) }
    }
}

impl Others {
    /// After so long without a request all cores may hash.
    const GONE: Duration = Duration::from_millis(50);
    /// How often as long as it has worked a thread rests while others are served.
    const REST: u32 = 2;

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    fn note(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    fn wait_until_none(&self) {
        while self.are_served() {
            std::thread::sleep(Self::GONE);
        }
    }

    /// However few cores there are, others find them free most of the time.
    fn rest_after(&self, worked: Duration) {
        if self.are_served() {
            std::thread::sleep(worked.saturating_mul(Self::REST));
        }
    }

    fn are_served(&self) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        last > 0 && Duration::from_millis(self.now().saturating_sub(last)) < Self::GONE
    }
}

/// Verified where there is no account, so that this takes as long: today's parameters, and a hash that was never made.
const DUMMY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlzLg$bm9ib2R5J3MgcGFzc3dvcmQgaGFzaGVzIHRvIHRoaXM";

type Job = Box<dyn FnOnce(&mut Workspace) + Send>;

/// Where a thread works out one hash after the other: fresh memory would cost it half as much time again.
#[derive(Default)]
struct Workspace(Vec<Block>);

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
    /// The threads are of this alone: a hash takes 19 MiB, which every thread that ever made one keeps.
    fn with(threads: usize, queue: usize) -> Self {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let waiting = Arc::new(Mutex::new(waiting));
        let others = Arc::new(Others::default());
        for number in 1..=threads {
            let (waiting, others) = (waiting.clone(), others.clone());
            let is_spare = number > 1 && number == threads;
            std::thread::spawn(move || {
                step_back();
                let mut workspace = Workspace::default();
                loop {
                    if is_spare {
                        others.wait_until_none();
                    }
                    let Some(job) = next(&waiting) else { break };
                    let begun = Instant::now();
                    job(&mut workspace);
                    others.rest_after(begun.elapsed());
                }
            });
        }
        Self { jobs, places: Arc::new(Semaphore::new(queue)), room: queue, others }
    }

    /// Somebody is served who needs no hash.
    pub(crate) fn make_room_for_others(&self) {
        self.others.note();
    }

    /// Whether somebody may wait now. Asked before anything else is done for them, so that refusing costs nothing.
    pub(crate) fn have_room(&self) -> Result<(), Busy> {
        if self.places.available_permits() == 0 { Err(Busy) } else { Ok(()) }
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.room.saturating_sub(self.places.available_permits())
    }

    pub(crate) async fn hash(&self, password: &Password) -> Result<PasswordHash, Busy> {
        let password = password.clone();
        self.in_turn(move |workspace| workspace.hash(password.as_bytes())).await?.ok_or(Busy)
    }

    /// Whether it is the password; without a hash to compare with it takes as long and is not.
    pub(crate) async fn verify(
        &self,
        password: Option<&Password>,
        hash: Option<&PasswordHash>,
    ) -> Result<Verified, Busy> {
        let known = hash.is_some() && password.is_some();
        let (password, hash) = (password.cloned(), hash.cloned());
        let verified = self
            .in_turn(move |workspace| {
                workspace.verify(password.as_ref(), hash.as_ref().map_or(DUMMY, PasswordHash::as_str))
            })
            .await?;
        Ok(if known { verified } else { Verified::No })
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Workspace) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| Busy)?;
        let (answer, answered) = oneshot::channel();
        let job = move |workspace: &mut Workspace| {
            drop(place);
            // Nobody is there any more who would wait for it.
            if !answer.is_closed() {
                let _ = answer.send(work(workspace));
            }
        };
        self.jobs.send(Box::new(job)).map_err(|_| Busy)?;
        tokio::time::timeout(PATIENCE, answered).await.map_err(|_| Busy)?.map_err(|_| Busy)
    }
}

/// This thread works when others leave it time: a hash takes a hundred times as long as a post.
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

impl Workspace {
    fn hash(&mut self, password: &[u8]) -> Option<PasswordHash> {
        let parameters = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
        let salt = Salt::new(&try_generate_salt().ok()?).ok()?;
        let hash = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&parameters).ok()?,
            salt: Some(salt),
            hash: None,
        };
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
        let output = self.output(&argon2, password, &salt, Params::DEFAULT_OUTPUT_LEN)?;
        Some(PasswordHash::new(phc::PasswordHash { hash: Some(output), ..hash }.to_string()))
    }

    fn verify(&mut self, password: Option<&Password>, hash: &str) -> Verified {
        let typed = password.map_or(b"".as_slice(), Password::as_bytes);
        let todays = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$");
        if self.is_of(hash, typed).unwrap_or(false) {
            Verified::Yes { outdated: !hash.starts_with(&todays) }
        } else {
            Verified::No
        }
    }

    /// Outputs are compared in constant time.
    fn is_of(&mut self, hash: &str, password: &[u8]) -> Option<bool> {
        let hash = phc::PasswordHash::new(hash).ok()?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let version = hash.version.map(Version::try_from).transpose().ok()?.unwrap_or_default();
        let argon2 = Argon2::new(algorithm, version, Params::try_from(&hash).ok()?);
        let (salt, output) = (hash.salt?, hash.hash?);
        Some(self.output(&argon2, password, &salt, output.len())? == output)
    }

    fn output(&mut self, argon2: &Argon2<'_>, password: &[u8], salt: &[u8], length: usize) -> Option<Output> {
        let blocks = argon2.params().block_count();
        if self.0.len() < blocks {
            self.0.resize(blocks, Block::default());
        }
        let mut output = [0; Output::MAX_LENGTH];
        let output = output.get_mut(..length)?;
        argon2.hash_password_into_with_memory(password, salt, output, self.0.get_mut(..blocks)?).ok()?;
        Output::new(output).ok()
    }
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHasher, PasswordVerifier};
    use domain::values::PasswordPolicy;

    use super::*;

    fn password(text: &str) -> Password {
        Password::chosen(text.to_owned(), PasswordPolicy::Plain).unwrap()
    }

    /// Were it none, or of other parameters, an unknown name would be told by the time.
    #[test]
    fn the_dummy_is_worked_out_like_any_hash_of_today() {
        let mut workspace = Workspace::default();
        assert_eq!(workspace.is_of(DUMMY, b"whatever"), Some(false));
        let real = workspace.hash(b"whatever").unwrap();
        let parameters = |hash: &str| hash.rsplit('$').skip(2).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(parameters(DUMMY), parameters(real.as_str()));
        assert_eq!(DUMMY.len(), real.as_str().len());
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

    #[test]
    fn what_was_hashed_before_changes_nothing() {
        let parameters = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap();
        let bare = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
        let mut workspace = Workspace::default();
        for text in ["correct horse", "battery staple"] {
            let ours = workspace.hash(text.as_bytes()).unwrap();
            assert!(bare.verify_password(text.as_bytes(), ours.as_str()).is_ok());
            let theirs: phc::PasswordHash = bare.hash_password(text.as_bytes()).unwrap();
            let theirs = PasswordHash::new(theirs.to_string());
            assert_eq!(workspace.verify(Some(&password(text)), theirs.as_str()), Verified::Yes { outdated: false });
            assert_eq!(workspace.verify(Some(&password("wrong horse")), theirs.as_str()), Verified::No);
        }
        assert_eq!(workspace.verify(Some(&password("wrong horse")), ""), Verified::No);
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
        let busy = passwords.in_turn(move |_| {
            begun.send(()).unwrap();
            gate.recv().unwrap();
        });
        let others = async {
            has_begun.await.unwrap();
            let right = password("correct horse");
            let full = async {
                assert_eq!(passwords.have_room(), Err(Busy));
                let refused = passwords.hash(&right).await;
                open.send(()).unwrap();
                refused
            };
            tokio::join!(passwords.hash(&right), full)
        };
        assert_eq!(passwords.have_room(), Ok(()));
        let (first, (second, third)) = tokio::join!(busy, others);
        assert_eq!((first, second.is_ok(), third), (Ok(()), true, Err(Busy)));
        assert_eq!(passwords.have_room(), Ok(()), "whoever waited has left");
    }
}
