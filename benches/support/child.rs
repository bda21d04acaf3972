//! A process next to the bench: this binary again in another role, or the built `postbridge serve`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A child that is killed when dropped.
pub struct Process {
    child: Child,
    pub port: u16,
}

impl Process {
    /// Runs this bench binary again in `role`; it prints its port first.
    pub fn role(role: &str) -> Process {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env("POSTBRIDGE_BENCH_ROLE", role)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the child prints its port");
        Process { child, port }
    }

    /// Runs `postbridge serve` with this configuration and waits until it is ready.
    pub fn serve(config: &Path, port: u16) -> Process {
        let child = Command::new(env!("CARGO_BIN_EXE_postbridge"))
            .args(["serve", "--config"])
            .arg(config)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process = Process { child, port };
        for _ in 0..600 {
            if super::load::get_once(port, "/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
            {
                return process;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("postbridge serve did not become ready");
    }

    /// User and system CPU time spent so far, in µs.
    pub fn cpu_us(&self) -> f64 {
        super::machine::cpu_us(self.child.id())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback port that is free now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
