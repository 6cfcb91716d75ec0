//! The host: its names, processor, load and memory, from /proc by way of `sysinfo`.
//!
//! It is the machine that is described, also inside a container with a limit of its own.

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// What the operating system says of the machine. `None`, or 0 bytes: it does not tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Host {
    pub hostname: Option<String>,
    /// Such as `Debian GNU/Linux 12`: the container's, inside one.
    pub os: Option<String>,
    /// Such as `Linux 6.12.9-amd64`.
    pub kernel: Option<String>,
    /// Such as `AMD EPYC 9454 48-Core Processor`.
    pub cpu_model: Option<String>,
    /// Such as `x86_64`.
    pub architecture: String,
    /// Hardware threads.
    pub logical_cores: u32,
    /// Runnable tasks on average of the last 1, 5 and 15 minutes.
    pub load_averages: Option<[f64; 3]>,
    /// Bytes.
    pub memory_total: u64,
    /// Bytes that programs can still get without swapping; the page cache counts as available.
    pub memory_available: u64,
    /// Bytes; 0 also without swap.
    pub swap_total: u64,
    /// Bytes.
    pub swap_used: u64,
    /// Seconds since the machine started, whatever was done to its wall clock.
    pub uptime_seconds: Option<u64>,
}

impl Host {
    pub(super) fn read() -> Self {
        let mut host = Self {
            hostname: System::host_name().ok(),
            os: os(),
            kernel: System::kernel_long_version().ok(),
            architecture: System::cpu_arch(),
            load_averages: System::load_average().ok().map(|load| [load.one, load.five, load.fifteen]),
            uptime_seconds: System::uptime().ok(),
            ..Self::default()
        };
        let what =
            RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()).with_memory(MemoryRefreshKind::everything());
        if let Ok(system) = System::new_with_specifics(what) {
            let model = system.cpus().first().map(|cpu| cpu.brand().trim().to_owned());
            host.cpu_model = model.filter(|model| !model.is_empty());
            host.logical_cores = u32::try_from(system.cpus().len()).unwrap_or(u32::MAX);
            host.memory_total = system.total_memory();
            host.memory_available = system.available_memory();
            host.swap_total = system.total_swap();
            host.swap_used = system.used_swap();
        }
        host
    }
}

fn os() -> Option<String> {
    let name = System::name().ok()?;
    Some(match System::os_version() {
        Ok(version) => format!("{name} {version}"),
        Err(_) => name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_as_proc_says() {
        let read = |path: &str| std::fs::read_to_string(path).unwrap();
        let host = Host::read();

        let cpus = read("/proc/cpuinfo").lines().filter(|line| line.starts_with("processor")).count();
        assert_eq!(host.logical_cores as usize, cpus);
        assert_eq!(host.hostname.unwrap(), read("/proc/sys/kernel/hostname").trim());
        assert_eq!(host.kernel.unwrap(), format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()));
        let total = read("/proc/meminfo").lines().find(|line| line.starts_with("MemTotal:")).unwrap().to_owned();
        assert_eq!(format!("{} kB", host.memory_total / 1024), total["MemTotal:".len()..].trim());
        assert!((1..=host.memory_total).contains(&host.memory_available));
        assert!(host.swap_used <= host.swap_total);
        assert!(host.load_averages.unwrap().iter().all(|load| *load >= 0.0));
        assert!(host.uptime_seconds.unwrap() > 0);
    }
}
