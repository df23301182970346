//! Holds relays back, so that they and not the generator beside them are what has too little processor.
//!
//! They are stopped for a part of each period, as a quota of a control group would do, but without its rights.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::clock;
use crate::process::Process;

/// Short beside any latency that is measured; long beside what a signal costs.
const PERIOD: Duration = Duration::from_millis(10);

/// Relays that are held back until this is dropped.
#[derive(Debug)]
pub struct Throttle {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Throttle {
    /// Lets `relays` run for this `share` of the time.
    pub fn hold(relays: &[Process], share: f64) -> std::io::Result<Throttle> {
        let over = Arc::new(AtomicBool::new(false));
        let pids: Vec<Pid> =
            relays.iter().filter_map(|relay| i32::try_from(relay.0).ok().and_then(Pid::from_raw)).collect();
        let told = Arc::clone(&over);
        let thread = std::thread::Builder::new().name("throttle".to_owned()).spawn(move || {
            let mut begins_ns = clock::now_ns();
            while !told.load(Ordering::Acquire) {
                signal(&pids, Signal::CONT);
                rest_until(begins_ns + clock::nanoseconds(PERIOD.mul_f64(share)));
                signal(&pids, Signal::STOP);
                // Behind time it begins anew: what was missed is not made up for.
                begins_ns = (begins_ns + clock::nanoseconds(PERIOD)).max(clock::now_ns());
                rest_until(begins_ns);
            }
            signal(&pids, Signal::CONT);
        })?;
        Ok(Throttle { over, thread: Some(thread) })
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn signal(pids: &[Pid], signal: Signal) {
    for pid in pids {
        // One that has ended is missed elsewhere.
        let _ = kill_process(*pid, signal);
    }
}

fn rest_until(then_ns: u64) {
    std::thread::sleep(Duration::from_nanos(then_ns.saturating_sub(clock::now_ns())));
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_runs_for_its_share_and_goes_on_afterwards() {
        let mut busy = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let process = Process(busy.id());
        let used = |until: Duration| {
            let (before, begun_ns) = (process.cpu_seconds().unwrap(), clock::now_ns());
            while clock::now_ns() - begun_ns < clock::nanoseconds(until) {
                std::thread::yield_now();
            }
            (process.cpu_seconds().unwrap() - before) / clock::seconds(clock::now_ns() - begun_ns)
        };
        let held = Throttle::hold(&[process], 0.2).unwrap();
        let share = used(Duration::from_secs(1));
        drop(held);
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.0)).unwrap();
        busy.kill().unwrap();
        busy.wait().unwrap();
        assert!(share < 0.5, "{share}");
        assert!(!stat.contains(") T "), "{stat}");
    }
}
