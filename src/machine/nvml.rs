//! NVIDIA's GPUs, by NVML: the driver's library, loaded while the program runs.
//!
//! Nothing needs the library or a driver to be there; the report says what is missing. A session with the
//! driver stays open between reports, as opening one can take seconds. After a failure it is closed, and
//! the next report opens a new one, so a driver that was installed or reset meanwhile is found.
//!
//! Steps: take the session or open one; count; read every GPU; keep the session if the driver is well.

use std::sync::{Mutex, PoisonError};

use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::{Device, Nvml as Session, cuda_driver_version_major, cuda_driver_version_minor};

use super::gpu::{Gpu, GpuProbe, GpuProcess, GpuReport};

/// The GPUs that the NVIDIA driver of this machine shows to this process.
#[derive(Default)]
pub struct Nvml {
    session: Mutex<Option<Session>>,
}

impl GpuProbe for Nvml {
    fn probe(&self) -> GpuReport {
        let mut kept = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let session = match kept.take().map_or_else(Session::init, Ok) {
            Ok(session) => session,
            Err(error) => return GpuReport::none(sentence(&error)),
        };
        let (report, is_well) = read(&session);
        *kept = is_well.then_some(session);
        report
    }
}

/// All GPUs, and whether the session can be used again.
fn read(session: &Session) -> (GpuReport, bool) {
    let mut report = GpuReport {
        driver_version: session.sys_driver_version().ok(),
        cuda_version: session.sys_cuda_driver_version().ok().map(cuda_version),
        ..GpuReport::default()
    };
    let count = match session.device_count() {
        Ok(count) => count,
        Err(error) => return (GpuReport { problem: Some(sentence(&error)), ..report }, false),
    };
    let mut is_well = true;
    let mut problems = Vec::new();
    for index in 0..count {
        let mut readings = Readings::default();
        match session.device_by_index(index) {
            Ok(device) => report.gpus.push(readings.gpu(index, &device)),
            Err(error) => readings.failed = Some(error),
        }
        if let Some(error) = readings.failed {
            // Another user's GPU stays one, however often we ask.
            is_well &= matches!(error, NvmlError::NoPermission);
            problems.push(format!("GPU {index} is not responding: {error}"));
        }
    }
    report.problem = match count {
        0 => Some("the NVIDIA driver reports no GPU".to_owned()),
        _ => Some(problems.join("; ")).filter(|problems| !problems.is_empty()),
    };
    (report, is_well)
}

/// Reads one GPU, and notes when it is gone.
#[derive(Default)]
struct Readings {
    failed: Option<NvmlError>,
}

impl Readings {
    fn gpu(&mut self, index: u32, device: &Device<'_>) -> Gpu {
        let memory = self.read(device.memory_info());
        let utilisation = self.read(device.utilization_rates());
        let capability = self.read(device.cuda_compute_capability());
        let processes = self.read(device.running_compute_processes());
        Gpu {
            index,
            uuid: self.read(device.uuid()),
            name: self.read(device.name()),
            memory_total: memory.as_ref().map(|memory| memory.total),
            memory_used: memory.as_ref().map(|memory| memory.used),
            memory_free: memory.as_ref().map(|memory| memory.free),
            utilisation_percent: utilisation.as_ref().map(|utilisation| utilisation.gpu),
            memory_utilisation_percent: utilisation.as_ref().map(|utilisation| utilisation.memory),
            temperature_celsius: self.read(device.temperature(TemperatureSensor::Gpu)),
            power_watts: self.read(device.power_usage()).map(watts),
            power_limit_watts: self.read(device.enforced_power_limit()).map(watts),
            compute_capability: capability.map(|capability| format!("{}.{}", capability.major, capability.minor)),
            processes: processes.map(|processes| processes.into_iter().map(process).collect()),
            mig_enabled: self.read(device.mig_mode()).map(|mode| mode.current == MIG_ENABLED),
        }
    }

    /// A reading, or `None`: most errors only mean that this GPU, or this version of the driver, does not
    /// tell this one number.
    fn read<T>(&mut self, reading: Result<T, NvmlError>) -> Option<T> {
        match reading {
            Ok(value) => Some(value),
            Err(error) => {
                if is_gone(&error) {
                    self.failed = Some(error);
                }
                None
            }
        }
    }
}

/// `NVML_DEVICE_MIG_ENABLE` of nvml.h.
const MIG_ENABLED: u32 = 1;

/// Whether the GPU or the driver went away while the session was open.
fn is_gone(error: &NvmlError) -> bool {
    use NvmlError::{DriverNotLoaded, GpuLost, LibRmVersionMismatch, ResetRequired, Uninitialized};
    matches!(error, DriverNotLoaded | GpuLost | LibRmVersionMismatch | ResetRequired | Uninitialized)
}

fn process(info: ProcessInfo) -> GpuProcess {
    let memory_used = match info.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some(bytes),
        UsedGpuMemory::Unavailable => None,
    };
    GpuProcess { pid: info.pid, memory_used }
}

fn watts(milliwatts: u32) -> f64 {
    f64::from(milliwatts) / 1000.0
}

fn cuda_version(version: i32) -> String {
    format!("{}.{}", cuda_driver_version_major(version), cuda_driver_version_minor(version))
}

/// Why there are no GPUs, for people.
fn sentence(error: &NvmlError) -> String {
    match error {
        NvmlError::LibloadingError(error) => {
            let error = error.to_string();
            match error.starts_with("libnvidia-ml.so.1: cannot open shared object file") {
                true => "no NVIDIA driver found (libnvidia-ml.so.1 is missing)".to_owned(),
                false => format!("cannot load the NVIDIA driver's library: {error}"),
            }
        }
        NvmlError::DriverNotLoaded => "the NVIDIA driver is installed but not loaded".to_owned(),
        NvmlError::NoPermission => "no permission to use the NVIDIA driver".to_owned(),
        NvmlError::LibRmVersionMismatch => {
            "NVIDIA driver version mismatch after an update: restart this machine".to_owned()
        }
        error => format!("the NVIDIA driver is not responding: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn without_a_driver_the_report_says_so_each_time() {
        if Path::new("/proc/driver/nvidia").exists() {
            return;
        }
        let nvml = Nvml::default();
        for _ in 0..2 {
            let report = nvml.probe();
            assert!(report.gpus.is_empty());
            let problem = report.problem.unwrap();
            assert!(problem.contains("NVIDIA driver"), "{problem}");
        }
    }

    #[test]
    fn a_library_that_is_not_there_means_that_there_is_no_driver() {
        // The very error of a machine without a driver, by a name that no machine has.
        let init = |name: &str| Session::builder().lib_path(name.as_ref()).init().unwrap_err();
        let NvmlError::LibloadingError(error) = init("libnvidia-ml.so.1-absent") else { panic!("not a dlopen error") };
        assert!(error.to_string().starts_with("libnvidia-ml.so.1-absent: cannot open shared object file"), "{error}");
        // Something else under the name of the library.
        let problem = sentence(&init("/proc/self/status"));
        assert!(problem.starts_with("cannot load the NVIDIA driver's library: /proc/self/status"), "{problem}");
    }

    #[test]
    fn versions_and_watts_are_as_people_write_them() {
        assert_eq!(cuda_version(12_080), "12.8");
        assert_eq!(cuda_version(13_000), "13.0");
        assert_eq!(watts(512_400), 512.4);
    }

    #[test]
    fn a_number_that_is_not_told_is_no_failure_and_a_lost_gpu_is() {
        let mut readings = Readings::default();
        assert_eq!(readings.read(Ok(1)), Some(1));
        assert_eq!(readings.read::<u32>(Err(NvmlError::NotSupported)), None);
        assert_eq!(readings.read::<u32>(Err(NvmlError::Unknown)), None);
        assert!(readings.failed.is_none());
        assert_eq!(readings.read::<u32>(Err(NvmlError::GpuLost)), None);
        assert!(matches!(readings.failed, Some(NvmlError::GpuLost)));
    }
}
