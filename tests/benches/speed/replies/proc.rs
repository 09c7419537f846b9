//! What the kernel knows of a process, and of the machine.

use std::fs;
use std::time::Instant;

/// How much processor time was taken, by when.
pub struct Taken {
    at: Instant,
    process: f64,
    machine: f64,
}

/// How many cores were at work between two moments.
pub struct Cores {
    pub process: f64,
    pub machine: f64,
}

/// A hundred a second, on every Linux.
const TICKS: f64 = 100.0;

impl Taken {
    pub fn by(process: u32) -> Self {
        let stat = read(&format!("/proc/{process}/stat"));
        // The name, in brackets, may be anything.
        let (_, fields) = stat.rsplit_once(") ").expect("a process");
        let process = sum(fields.split(' ').skip(11).take(2));
        let machine = read("/proc/stat");
        let mut all = machine.lines().next().expect("all processors").split_whitespace().skip(1);
        let busy = sum(all.by_ref().take(3));
        // Idle, and waiting for a disk.
        let machine = busy + sum(all.skip(2));
        Self { at: Instant::now(), process, machine }
    }

    pub fn since(&self, before: &Self) -> Cores {
        let ticks = (self.at - before.at).as_secs_f64() * TICKS;
        Cores { process: (self.process - before.process) / ticks, machine: (self.machine - before.machine) / ticks }
    }
}

fn sum<'a>(ticks: impl Iterator<Item = &'a str>) -> f64 {
    ticks.map(|ticks| ticks.parse::<f64>().expect("ticks")).sum()
}

/// What the process has in memory, in thousands of bytes.
pub fn kilobytes(process: u32) -> f64 {
    let status = read(&format!("/proc/{process}/status"));
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes * 1_024.0 / 1e3
}

pub fn open_files(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).expect("a process that runs").count()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).expect("a process that runs")
}
