//! What the embedded store acknowledged survives a power cut: an ext4 file system in a file, shut down
//! without flushing its journal while a process writes, and mounted again.
//!
//! It needs root and loop devices. Where they are missing it says so and skips; where `CI` is set they
//! must be there.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use postbridge::store::contract::conformance::fixture::engine::usual_rules;
use postbridge::store::embedded::Embedded;

use crate::support::trial::{Chance, rounds};
use crate::trials::store_loader::{Loader, verify};

const ROUNDS: usize = 12;

#[test]
fn nothing_acknowledged_is_lost_to_power_cuts() {
    let folder = tempfile::tempdir().unwrap();
    let disk = match Disk::make(folder.path()) {
        Ok(disk) => disk,
        Err(reason) => {
            let message = format!("the power-cut test needs root, mkfs.ext4 and loop devices: {reason}");
            assert!(std::env::var_os("CI").is_none(), "{message}");
            println!("skipped: {message}");
            return;
        }
    };
    let (rounds, mut chance, mut verified) = (rounds(ROUNDS), Chance::of_this_run(), 0);
    for round in 0..rounds {
        disk.format().unwrap();
        disk.mount().unwrap();
        let data = disk.mounted.join("data");
        let loader = Loader::start(&data, round, None);
        std::thread::sleep(Duration::from_millis(250 + 4 * u64::from(chance.byte())));
        disk.cut_power().unwrap();
        let acks = loader.kill();
        disk.unmount().unwrap();
        disk.mount().unwrap();
        {
            let store = Embedded::open_sled(&data, usual_rules()).unwrap();
            verify(&store, &acks);
        }
        assert_eq!(std::fs::read_dir(data.join("index/blobs")).unwrap().count(), 0);
        disk.unmount().unwrap();
        verified += acks.len();
    }
    println!("{rounds} power cuts: {verified} acknowledgements verified, 0 lost");
    assert!(verified > 10 * rounds, "the load was too small to show anything: {verified}");
}

/// An ext4 file system in a file.
struct Disk {
    image: PathBuf,
    mounted: PathBuf,
}

impl Disk {
    /// Tries once whether such a disk can be had here.
    fn make(folder: &Path) -> Result<Disk, String> {
        let disk = Disk { image: folder.join("image"), mounted: folder.join("mounted") };
        std::fs::create_dir(&disk.mounted).map_err(|error| error.to_string())?;
        disk.format()?;
        disk.mount()?;
        disk.unmount()?;
        Ok(disk)
    }

    fn format(&self) -> Result<(), String> {
        let file = File::create(&self.image).map_err(|error| error.to_string())?;
        file.set_len(512 * 1024 * 1024).map_err(|error| error.to_string())?;
        run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), self.image.as_os_str()])
    }

    fn mount(&self) -> Result<(), String> {
        run("mount", &["-o".as_ref(), "loop".as_ref(), self.image.as_os_str(), self.mounted.as_os_str()])
    }

    fn unmount(&self) -> Result<(), String> {
        run("umount", &[self.mounted.as_os_str()])
    }

    /// `EXT4_IOC_SHUTDOWN` with `NOLOGFLUSH`: from here on nothing reaches the disk.
    #[allow(unsafe_code)] // A system call that no crate has.
    fn cut_power(&self) -> std::io::Result<()> {
        const EXT4_IOC_SHUTDOWN: libc::c_ulong = 0x8004_587d;
        const NOLOGFLUSH: u32 = 2;
        let root = File::open(&self.mounted)?;
        // SAFETY: the request reads one u32 from the pointer, which outlives the call.
        let done = unsafe { libc::ioctl(root.as_raw_fd(), EXT4_IOC_SHUTDOWN as _, &NOLOGFLUSH) };
        if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A failed round leaves it mounted; the folder cannot be deleted until it is not.
        if let Err(reason) = self.unmount() {
            drop(reason);
        }
    }
}

fn run(program: &str, arguments: &[&std::ffi::OsStr]) -> Result<(), String> {
    let done =
        Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    let reported = String::from_utf8_lossy(&done.stderr);
    if done.status.success() { Ok(()) } else { Err(format!("{program}: {}", reported.trim())) }
}
