//! A small file system, for tests of a disk that is nearly full, and a file that is mounted. Only root can mount either.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of its own size, unmounted when dropped.
pub struct SmallDisk(pub PathBuf);

impl SmallDisk {
    pub fn mount(at: &Path, size: &str) -> Option<SmallDisk> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .output();
        mounted.is_ok_and(|output| output.status.success()).then(|| SmallDisk(at.to_path_buf()))
    }

    pub fn grow(&self, size: &str) {
        let grown = Command::new("mount")
            .args(["-o", &format!("remount,size={size}")])
            .arg(&self.0)
            .status()
            .unwrap();
        assert!(grown.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A file or a folder that is at another path too, unmounted when dropped.
pub struct BoundMount(PathBuf);

impl BoundMount {
    pub fn of(what: &Path, at: &Path) -> Option<BoundMount> {
        let mounted = Command::new("mount").arg("--bind").args([what, at]).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| BoundMount(at.to_path_buf()))
    }
}

impl Drop for BoundMount {
    fn drop(&mut self) {
        // Where it is unmounted already nothing is left to do.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
