//! Load: users who post at the same time over HTTP, and remember what was acknowledged.
//!
//! While they post, readers go on comparing whole histories with what their owners were told.

mod book;
mod dice;
mod user;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

pub use book::{Book, Shown, Turn};
pub use dice::Dice;
pub use user::{Reading, Unanswered, User};

/// How long a load may take to come to where a test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long somebody waits who was not answered.
const PAUSE: Duration = Duration::from_millis(20);
const READERS: usize = 2;

/// What has become of the requests so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Posts that were answered with success.
    pub acknowledged: usize,
    /// Posts that were answered with 503.
    pub refused: usize,
    /// Posts whose connection broke, or could not be made.
    pub broken: usize,
    /// Histories that were read to the end, promised to be up to date, and found to be.
    pub whole: usize,
    /// Histories that were read to the end, and said to be behind.
    pub behind: usize,
}

/// Users who post until they are told to stop.
pub struct Load {
    people: People,
    tasks: JoinSet<()>,
    tally: watch::Receiver<Tally>,
    stop: CancellationToken,
}

/// Those who post, and what they remember.
pub struct People(pub Vec<Arc<User>>);

impl Load {
    /// Registers users, and lets them post to these nodes, each of them one post at a time.
    pub async fn start(nodes: &[String], users: usize, dice: &mut Dice) -> Self {
        let people = People::register(nodes, users).await;
        let (sender, tally) = watch::channel(Tally::default());
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        for user in &people.0 {
            tasks.spawn(post(Arc::clone(user), dice.fork(), sender.clone(), stop.clone()));
        }
        for _ in 0..READERS {
            tasks.spawn(look_back(people.0.clone(), dice.fork(), sender.clone(), stop.clone()));
        }
        Self { people, tasks, tally, stop }
    }

    pub fn tally(&self) -> Tally {
        *self.tally.borrow()
    }

    /// Waits until so many more posts were acknowledged.
    pub async fn more(&mut self, posts: usize) {
        let wanted = self.tally().acknowledged + posts;
        self.until("more acknowledged posts", |tally| tally.acknowledged >= wanted).await;
    }

    /// Waits until the tally is as it should be.
    pub async fn until(&mut self, what: &str, enough: impl FnMut(&Tally) -> bool) {
        let before = self.tally();
        let waited = tokio::select! {
            biased;
            Some(ended) = self.tasks.join_next() => panic!("the load has ended before {what}: {ended:?}"),
            waited = timeout(PATIENCE, self.tally.wait_for(enough)) => waited.is_ok(),
        };
        assert!(waited, "{what}: not in {PATIENCE:?}, from {before:?} to {:?}", self.tally());
    }

    /// Lets everybody end what they have begun.
    pub async fn stop(mut self) -> People {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap_or_else(|fault| panic!("the load has found a fault: {fault}"));
        }
        eprintln!("the load has come to {:?}", self.tally());
        self.people
    }
}

impl People {
    pub async fn register(nodes: &[String], users: usize) -> Self {
        let all = join_all((0..users).map(|n| User::register(nodes, format!("user-{n}"))));
        Self(all.await.into_iter().map(Arc::new).collect())
    }

    /// How many posts were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.0.iter().map(|user| user.book().turns.len()).sum()
    }

    /// Everybody finds in their history what was acknowledged, all of it, once and in order.
    pub async fn check(&self, node: &str) {
        join_all(self.0.iter().map(|user| user.check(node))).await;
    }

    /// And finds nothing else there.
    pub async fn check_that_nothing_else_is_there(&self, node: &str) {
        for user in &self.0 {
            let (reading, acknowledged) = (user.up_to_date(node, None).await, user.book().turns.len());
            assert_eq!(reading.shown.len(), 2 * acknowledged, "{} has more than was acknowledged", user.name);
        }
    }
}

async fn post(user: Arc<User>, mut dice: Dice, tally: watch::Sender<Tally>, stop: CancellationToken) {
    let mut pause = interval(PAUSE);
    while !stop.is_cancelled() {
        let outcome = user.post(&mut dice).await;
        tally.send_modify(|tally| match outcome {
            Ok(()) => tally.acknowledged += 1,
            Err(Unanswered::Refused) => tally.refused += 1,
            Err(Unanswered::Broken) => tally.broken += 1,
        });
        if outcome.is_err() {
            pause.reset();
            pause.tick().await;
        }
    }
}

/// Reads whole histories, one after the other, as long as there is news.
async fn look_back(users: Vec<Arc<User>>, mut dice: Dice, tally: watch::Sender<Tally>, stop: CancellationToken) {
    let mut news = tally.subscribe();
    while stop.run_until_cancelled(news.changed()).await.is_some() {
        let Some(user) = users.get(dice.below(users.len())) else { return };
        let read = user.look_back(&mut dice).await;
        tally.send_modify(|tally| match read {
            Ok(reading) if reading.behind => tally.behind += 1,
            Ok(_) => tally.whole += 1,
            Err(Unanswered::Refused | Unanswered::Broken) => {}
        });
        news.mark_unchanged();
    }
}
