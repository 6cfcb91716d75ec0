//! What is reported about GPUs, and where it comes from.
//!
//! A probe answers with a report and never with an error: a machine without GPUs is a healthy one. Every
//! number is optional, as each can be missing on its own, for example of a GPU whose memory is the host's,
//! or of one that is divided (MIG).

use serde::{Deserialize, Serialize};

/// Reads the GPUs of this machine. It may block for seconds.
pub trait GpuProbe: Send + Sync {
    fn probe(&self) -> GpuReport;
}

/// The GPUs of a machine, or why there are none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuReport {
    #[serde(default)]
    pub gpus: Vec<Gpu>,
    /// Such as `570.124.06`.
    pub driver_version: Option<String>,
    /// The newest CUDA that the driver can run, such as `12.8`.
    pub cuda_version: Option<String>,
    /// A sentence for people: why there are no GPUs here, or why not all of them can be seen.
    pub problem: Option<String>,
}

impl GpuReport {
    /// No GPUs, because of `problem`.
    pub(super) fn none(problem: String) -> Self {
        Self { problem: Some(problem), ..Self::default() }
    }
}

/// One GPU. `None`: the driver does not tell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// The driver's number; it may change when the machine restarts.
    pub index: u32,
    /// Such as `GPU-8f6e0b5c-…`; stays with the device.
    pub uuid: Option<String>,
    /// Such as `NVIDIA H100 80GB HBM3`.
    pub name: Option<String>,
    /// Bytes; `None` also for a GPU that has no memory but the host's.
    pub memory_total: Option<u64>,
    /// Bytes that are allocated. What the driver reserves is neither used nor free.
    pub memory_used: Option<u64>,
    /// Bytes that can be allocated.
    pub memory_free: Option<u64>,
    /// 0 to 100: how much of the last moment (up to a second) the GPU computed.
    pub utilisation_percent: Option<u32>,
    /// 0 to 100: how much of the last moment its memory was read or written.
    pub memory_utilisation_percent: Option<u32>,
    /// Degrees Celsius of the chip.
    pub temperature_celsius: Option<u32>,
    /// Watts that it draws.
    pub power_watts: Option<f64>,
    /// Watts that it may draw.
    pub power_limit_watts: Option<f64>,
    /// Such as `9.0`.
    pub compute_capability: Option<String>,
    /// Processes that compute on it.
    pub processes: Option<Vec<GpuProcess>>,
    /// Whether it is divided into instances now; `None` also for one that cannot be.
    pub mig_enabled: Option<bool>,
}

/// A process that computes on a GPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuProcess {
    /// As the host counts processes, also when this hub runs in a container.
    pub pid: u32,
    /// Bytes of the GPU's memory.
    pub memory_used: Option<u64>,
}

/// Always the same GPUs: for tests, and to show the hub on a machine without any.
#[derive(Debug, Clone, Default)]
pub struct Fixed(pub GpuReport);

impl Fixed {
    /// Reads a [`GpuReport`]. A GPU needs an `index`; all else may be absent, nothing may be misspelt:
    #[doc = concat!("```json\n", include_str!("fixed.json"), "```")]
    pub fn from_json(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json).map(Self)
    }
}

impl GpuProbe for Fixed {
    fn probe(&self) -> GpuReport {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_json_is_read_and_written_back() {
        let report = Fixed::from_json(include_str!("fixed.json")).unwrap().probe();
        assert_eq!(report.driver_version.as_deref(), Some("570.124.06"));
        assert_eq!(report.problem, None);
        let [first, second] = report.gpus.as_slice() else { panic!("{report:?}") };
        assert_eq!((first.index, first.memory_total), (0, Some(85_520_809_984)));
        assert_eq!(first.processes, Some(vec![GpuProcess { pid: 4242, memory_used: Some(52_613_349_376) }]));
        assert_eq!(*second, Gpu { index: 1, name: Some("NVIDIA L4".to_owned()), ..Gpu::default() });

        let written = serde_json::to_string(&report).unwrap();
        assert_eq!(Fixed::from_json(&written).unwrap().probe(), report);
    }

    #[test]
    fn a_report_may_be_empty_or_only_a_problem() {
        assert_eq!(Fixed::from_json("{}").unwrap().probe(), GpuReport::default());
        let report = Fixed::from_json(r#"{"problem": "no NVIDIA driver here"}"#).unwrap().probe();
        assert_eq!(report, GpuReport::none("no NVIDIA driver here".to_owned()));
    }

    #[test]
    fn a_misspelt_field_is_an_error_that_names_it() {
        let error = Fixed::from_json(r#"{"gpus": [{"index": 0, "memory": 1}]}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `memory`"), "{error}");
        let error = Fixed::from_json(r#"{"gpus": [{"name": "NVIDIA L4"}]}"#).unwrap_err();
        assert!(error.to_string().contains("missing field `index`"), "{error}");
    }
}
