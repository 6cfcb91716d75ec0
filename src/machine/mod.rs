//! This machine: its memory, its disks and its GPUs, for the people who run the hub.
//!
//! A report never fails: what cannot be read is absent, and `GpuReport::problem` says in a sentence why
//! GPUs are. It blocks, so callers use `spawn_blocking`; but not for long, whatever a driver does.
//!
//! Steps: a report of the last second is given again. Else a thread asks the probe (`gpu`, `nvml`) for the
//! GPUs, and the host (`host`) and the disks (`disks`) are read. A driver that hangs keeps that one thread;
//! reports continue without it, with its last numbers, and it is asked again once it has answered.

mod disks;
mod gpu;
mod host;
mod nvml;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::Clock;

pub use disks::Disk;
pub use gpu::{Fixed, Gpu, GpuProbe, GpuProcess, GpuReport};
pub use host::Host;
pub use nvml::Nvml;

/// So many dashboards may ask as often as they like: the driver is asked once a second.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// For how long a report waits for the GPUs. Starting NVML wakes them, which takes seconds where the
/// driver's persistence mode is off.
const PATIENCE: Duration = Duration::from_secs(5);

/// What `GET /v1/system` tells of the machine.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineReport {
    pub host: Host,
    /// The disk of the data directory first, then the other local ones by their mount points.
    pub disks: Vec<Disk>,
    pub gpu: GpuReport,
}

/// The name that this machine has for itself.
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Lets this process have as many descriptors as its system allows. The usual limit of 1024 is there for programs that
/// use select(2), and is less than the connections that a listener may have.
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    // Refused, the process has as many as before, and makes do with them.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// The names by which others in its network know this machine, in lower case: its hostname, that without its domain,
/// and the one that mDNS gives it.
pub fn names() -> Vec<String> {
    let hostname = hostname().to_ascii_lowercase();
    let short = hostname.split('.').next().unwrap_or_default().to_owned();
    if short.is_empty() || short == "localhost" {
        return Vec::new();
    }
    let local = format!("{short}.local");
    vec![hostname, short, local]
}

/// Reads this machine; shared by all who ask.
pub struct Machine {
    probe: Arc<dyn GpuProbe>,
    data_dir: PathBuf,
    clock: Clock,
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last report, and when it was made.
    last: Option<(Duration, MachineReport)>,
    /// Where the answer of a probe arrives that took too long.
    late: Option<Receiver<GpuReport>>,
}

impl Machine {
    /// `data_dir` is where the store is: its disk is marked in the report.
    pub fn new(probe: Arc<dyn GpuProbe>, data_dir: impl Into<PathBuf>, clock: Clock) -> Self {
        Self { probe, data_dir: data_dir.into(), clock, patience: PATIENCE, state: Mutex::default() }
    }

    /// The machine as it is, or was less than a second ago. Blocks for some milliseconds, and for at most
    /// five seconds when the driver is slow; concurrent callers wait for the same report.
    pub fn report(&self) -> MachineReport {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.elapsed();
        if let Some((made, report)) = &state.last
            && now.saturating_sub(*made) < KEPT_FOR
        {
            return report.clone();
        }
        let gpu = self.gpus(&mut state);
        let report = MachineReport { host: Host::read(), disks: disks::read(&self.data_dir), gpu };
        state.last = Some((self.clock.elapsed(), report.clone()));
        report
    }

    fn gpus(&self, state: &mut State) -> GpuReport {
        // Never two threads in the driver. An answer that came late is too old to show: ask again.
        if let Some(late) = &state.late
            && matches!(late.try_recv(), Err(TryRecvError::Empty))
        {
            return no_answer(state.last.as_ref());
        }
        state.late = None;

        let (answer, answered) = channel();
        let probe = Arc::clone(&self.probe);
        let ask = move || {
            // Nobody listens any more when the machine was dropped meanwhile.
            let _ = answer.send(probe.probe());
        };
        if let Err(error) = std::thread::Builder::new().name("gpu-probe".to_owned()).spawn(ask) {
            return GpuReport::none(format!("cannot read the GPUs: cannot start a thread ({error})"));
        }
        match answered.recv_timeout(self.patience) {
            Ok(report) => report,
            Err(RecvTimeoutError::Timeout) => {
                state.late = Some(answered);
                no_answer(state.last.as_ref())
            }
            Err(RecvTimeoutError::Disconnected) => {
                GpuReport::none("cannot read the GPUs: internal error, see the server log".to_owned())
            }
        }
    }
}

/// The last numbers, if there are any, with what is wrong with them.
fn no_answer(last: Option<&(Duration, MachineReport)>) -> GpuReport {
    let last = last.map(|(_, report)| report.gpu.clone()).unwrap_or_default();
    let problem = match last.gpus.is_empty() {
        true => "the NVIDIA driver is not responding",
        false => "the NVIDIA driver is not responding; showing the last known values",
    };
    GpuReport { problem: Some(problem.to_owned()), ..last }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::Sender;

    use super::*;

    /// GPU 0 with as much used memory as there were questions.
    #[derive(Default)]
    struct Counting(AtomicU32);

    fn gpu_with(memory_used: u32) -> GpuReport {
        let gpu = Gpu { memory_used: Some(memory_used.into()), ..Gpu::default() };
        GpuReport { gpus: vec![gpu], ..GpuReport::default() }
    }

    impl GpuProbe for Counting {
        fn probe(&self) -> GpuReport {
            gpu_with(self.0.fetch_add(1, Ordering::SeqCst) + 1)
        }
    }

    /// Answers when it is told to.
    struct Waiting(Mutex<Receiver<GpuReport>>);

    impl Waiting {
        fn new() -> (Sender<GpuReport>, Arc<Self>) {
            let (tell, told) = channel();
            (tell, Arc::new(Self(Mutex::new(told))))
        }
    }

    impl GpuProbe for Waiting {
        fn probe(&self) -> GpuReport {
            self.0.lock().unwrap().recv().unwrap()
        }
    }

    fn machine(probe: Arc<dyn GpuProbe>, clock: &Clock) -> Machine {
        Machine { patience: Duration::from_secs(60), ..Machine::new(probe, "/", clock.clone()) }
    }

    #[test]
    fn a_machine_without_a_driver_says_so() {
        let report = Machine::new(Arc::new(Nvml::default()), "/", Clock::system()).report();
        assert!(report.gpu.problem.is_some() || !report.gpu.gpus.is_empty(), "{report:?}");
        assert!(report.host.memory_total > 0);
        assert!(report.disks.iter().any(|disk| disk.holds_data), "{report:?}");
    }

    #[test]
    fn the_driver_is_asked_once_a_second() {
        let clock = Clock::manual(0);
        let machine = machine(Arc::new(Counting::default()), &clock);
        assert_eq!(machine.report().gpu, gpu_with(1));
        clock.advance(Duration::from_millis(999));
        assert_eq!(machine.report().gpu, gpu_with(1));
        clock.advance(Duration::from_millis(1));
        assert_eq!(machine.report().gpu, gpu_with(2));
    }

    #[test]
    fn all_who_ask_at_the_same_time_get_one_report() {
        let clock = Clock::manual(0);
        let machine = machine(Arc::new(Counting::default()), &clock);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(machine.report().gpu, gpu_with(1)));
            }
        });
    }

    #[test]
    fn a_driver_that_hangs_does_not_hold_up_reports() {
        let clock = Clock::manual(0);
        let (tell, probe) = Waiting::new();
        let mut machine = machine(probe, &clock);
        tell.send(gpu_with(1)).unwrap();
        assert_eq!(machine.report().gpu, gpu_with(1));

        machine.patience = Duration::from_millis(1);
        for _ in 0..3 {
            clock.advance(KEPT_FOR);
            let gpu = machine.report().gpu;
            assert_eq!(
                gpu.problem.as_deref(),
                Some("the NVIDIA driver is not responding; showing the last known values")
            );
            assert_eq!(gpu.gpus, gpu_with(1).gpus);
        }

        // It answers at last, to the first question; that answer is old.
        machine.patience = Duration::from_secs(60);
        tell.send(gpu_with(2)).unwrap();
        tell.send(gpu_with(3)).unwrap();
        let report = loop {
            clock.advance(KEPT_FOR);
            match machine.report().gpu {
                GpuReport { problem: Some(_), .. } => std::thread::yield_now(),
                report => break report,
            }
        };
        assert_eq!(report, gpu_with(3));
    }

    #[test]
    fn a_driver_that_never_answered_is_named_as_the_problem() {
        let (_tell, probe) = Waiting::new();
        let machine = Machine { patience: Duration::ZERO, ..machine(probe, &Clock::manual(0)) };
        assert_eq!(machine.report().gpu, GpuReport::none("the NVIDIA driver is not responding".to_owned()));
    }

    #[test]
    fn a_probe_that_panics_is_a_problem_and_no_more() {
        let (tell, probe) = Waiting::new();
        drop(tell);
        let problem = machine(probe, &Clock::manual(0)).report().gpu.problem.unwrap();
        assert!(problem.contains("internal error"), "{problem}");
    }
}
