//! What the system says of this process.

/// What is known of it; elsewhere than on Linux nothing is.
#[derive(Debug, Default)]
pub(crate) struct Process {
    pub(crate) cpu_seconds: Option<f64>,
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) open_files: Option<usize>,
    pub(crate) threads: Option<u64>,
}

/// Where very many files are open, to count them takes a while: on a thread where nobody waits for that.
pub(crate) async fn read() -> Process {
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

#[cfg(target_os = "linux")]
fn look() -> Process {
    use rustix::time::{ClockId, clock_gettime};

    let worked = std::time::Duration::try_from(clock_gettime(ClockId::ProcessCPUTime));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Process {
        cpu_seconds: worked.ok().map(|worked| worked.as_secs_f64()),
        resident_bytes: number("VmRSS").map(|kibibytes| kibibytes * 1_024),
        // One of them is the folder itself.
        open_files: std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count().saturating_sub(1)),
        threads: number("Threads"),
    }
}

#[cfg(not(target_os = "linux"))]
fn look() -> Process {
    Process::default()
}
