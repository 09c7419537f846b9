//! Which cores a process keeps to: where there is a database, it has a machine of its own elsewhere.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Some of this machine's cores.
#[derive(Clone, Copy)]
pub struct Cores(CpuSet);

impl Cores {
    pub fn all() -> Self {
        Self(sched_getaffinity(None).expect("this thread's cores"))
    }

    /// The first, and all others; where there is but one, it is both.
    pub fn split() -> (Self, Self) {
        let all = Self::all();
        let mut numbers = (0..CpuSet::MAX_CPU).filter(|number| all.0.is_set(*number));
        let first = numbers.next().expect("a core");
        let (mut one, mut others) = (CpuSet::new(), CpuSet::new());
        one.set(first);
        numbers.for_each(|number| others.set(number));
        (Self(one), if others.count() == 0 { all } else { Self(others) })
    }

    pub fn count(&self) -> u32 {
        self.0.count()
    }

    /// This thread keeps to them from now on, and so do the threads and processes that it starts.
    pub fn keep(&self) {
        sched_setaffinity(None, &self.0).expect("cores of this machine");
    }

    /// What the main thread starts meanwhile keeps to them.
    pub async fn host<T>(&self, starting: impl Future<Output = T>) -> T {
        let all = Self::all();
        self.keep();
        let started = starting.await;
        all.keep();
        started
    }
}
