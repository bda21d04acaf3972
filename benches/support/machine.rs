//! Facts of the machine that figures depend on: file system, fdatasync, CPU time, memory.

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

/// CPU time of a process, user and system, in µs.
pub fn cpu_us(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split(' ').collect();
    let ticks = |index: usize| fields.get(index).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    // Fields 14 and 15 of the line, in hundredths of a second on Linux.
    (ticks(11) + ticks(12)) * 10_000.0
}

/// A line such as `VmRSS:` or `VmHWM:` of a process, in MiB.
pub fn memory_mib(pid: u32, line: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let found = status.lines().find_map(|text| text.strip_prefix(line));
    found.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

/// The type of the file system that `path` is on.
pub fn file_system(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mut best = (0, "unknown".to_owned());
    for mount in mounts.lines() {
        let mut parts = mount.split(' ');
        let (Some(_), Some(at), Some(kind)) = (parts.next(), parts.next(), parts.next()) else { continue };
        if path.starts_with(at) && at.len() >= best.0 {
            best = (at.len(), kind.to_owned());
        }
    }
    best.1
}

/// The median of `rounds` appends of 4 KiB, each with its fdatasync, in µs.
pub fn fdatasync_us(folder: &Path, rounds: usize) -> f64 {
    let path = folder.join("fdatasync.probe");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(&[0; 4096]).unwrap();
    let mut took = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let started = Instant::now();
        file.write_all_at(&[1; 4096], 4096 * (round as u64 + 1)).unwrap();
        file.sync_data().unwrap();
        took.push(started.elapsed().as_secs_f64() * 1e6);
    }
    let _ = std::fs::remove_file(path);
    super::median(&took)
}

/// Bytes of all files below a folder.
pub fn size_of(folder: &Path) -> u64 {
    let mut total = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => total += size_of(&entry.path()),
            Ok(meta) => total += meta.len(),
            Err(_) => {}
        }
    }
    total
}

/// One line that names the disk.
pub fn describe(folder: &Path) -> String {
    format!("{} with a median fdatasync of {:.0} µs", file_system(folder), fdatasync_us(folder, 300))
}
