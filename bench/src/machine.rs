//! What the figures were measured on, and what processes spent.

use std::fs;
use std::process::Command;

/// Clock ticks of /proc a second; the kernel's ABI on all our platforms.
const TICKS_A_SECOND: f64 = 100.0;

/// Seconds of processor time that a process has spent so far; 0 when it is gone.
pub(crate) fn processor_seconds(pid: Option<u32>) -> f64 {
    let Some(pid) = pid else { return 0.0 };
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything; utime and stime are the
    // 12th and 13th word behind it.
    let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    let ticks = behind.split_whitespace().skip(11).take(2);
    ticks.filter_map(|word| word.parse::<f64>().ok()).sum::<f64>() / TICKS_A_SECOND
}

/// Bytes that a process has caused to be written to disk so far; 0 when unknown.
pub(crate) fn written_bytes(pid: Option<u32>) -> f64 {
    let Some(pid) = pid else { return 0.0 };
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0.0)
}

/// Processor, memory, kernel, programs: one line each.
pub(crate) fn description() -> Vec<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    vec![
        format!("{cores} cores, {}", model.trim_start_matches([' ', '\t', ':'])),
        format!("memory {}", kib.trim()),
        format!("kernel {}", first_line("uname", &["-sr"])),
        first_line("mosquitto", &["-h"]),
        first_line("redis-server", &["--version"]),
        first_line("mariadbd", &["--version"]),
        first_line("rustc", &["--version"]),
        format!("commit {}", first_line("git", &["rev-parse", "--short", "HEAD"])),
    ]
}

fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    text.lines().next().map_or_else(|| format!("{program}: unknown"), str::to_owned)
}
