//! The process metrics that Go programs export in `/metrics`, as far as available here: memory.

/// A gauge: its name, its description, and its present value.
pub(super) struct Gauge {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) value: u64,
}

/// The memory of this process; empty if there is no `/proc`. For a broker that is embedded in another program, it is the whole program's.
pub(super) fn memory() -> Vec<Gauge> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let gauges = [
        ("VmRSS:", "process_resident_memory_bytes", "Resident memory size in bytes."),
        ("VmSize:", "process_virtual_memory_bytes", "Virtual memory size in bytes."),
    ];
    let gauges = gauges.into_iter();
    gauges.filter_map(|(line, name, what)| Some(Gauge { name, what, value: bytes(&status, line)? })).collect()
}

/// The bytes in a line such as `VmRSS:     9672 kB`.
fn bytes(status: &str, line: &str) -> Option<u64> {
    let kibibytes = status.lines().find_map(|found| found.strip_prefix(line)?.trim().strip_suffix(" kB"))?;
    Some(kibibytes.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn memory_is_read_off_its_line() {
        let status = "Name:\tlocal\nVmSize:\t  100 kB\nVmRSS:\t    9672 kB\n";
        assert_eq!(bytes(status, "VmRSS:"), Some(9672 * 1024));
        assert_eq!(bytes("", "VmRSS:"), None);
    }
}
