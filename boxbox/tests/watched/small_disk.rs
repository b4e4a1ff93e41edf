//! [`SmallDisk`]: an embedded `boxbox up` whose data is on a separate disk, which can be filled.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use boxbox_testkit::wait::block_until;

use crate::common::{boxbox, free_port};
use crate::fleet::get;
use crate::tool::Tool;

/// Of the disk; the least log and some segments fit.
const SIZE: &str = "size=320m";

/// A server on a small disk.
pub(crate) struct SmallDisk {
    /// Where it shows its metrics.
    pub(crate) port: u16,
    mount: tempfile::TempDir,
    server: Option<Tool>,
    cars: Option<Child>,
}

impl SmallDisk {
    /// The server, if this user may mount a disk.
    pub(crate) fn start(logs: &std::path::Path) -> Option<Self> {
        let mount = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "boxbox-test"]).arg(mount.path()).output();
        if !mounted.is_ok_and(|out| out.status.success()) {
            return None;
        }
        let (port, data) = (free_port(), mount.path().join("data"));
        let api_port = port.to_string();
        let args = ["up", "--data", data.to_str().unwrap(), "--quic-port", "0", "--api-port", &api_port, "--log-max-bytes", "160MB"];
        let server = Some(Tool::start("small-disk", boxbox(&args), logs));
        let mut disk = Self { port, mount, server, cars: None };
        block_until("the embedded server answers", || {
            disk.server.iter_mut().for_each(Tool::runs);
            get(&format!("http://127.0.0.1:{port}/livez")).is_some()
        });
        Some(disk)
    }

    fn filler(&self) -> PathBuf {
        self.mount.path().join("filler")
    }

    /// Takes all space that is left, and lets cars drive until the log needs more.
    pub(crate) fn fill(&mut self) {
        let data = self.mount.path().join("data");
        let race = ["simulate", "--data", data.to_str().unwrap(), "--cars", "24", "--laps", "100", "--speed", "10", "--field", "20"];
        self.cars = Some(boxbox(&race).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        // Their grants are made on this disk too.
        block_until("cars are connected", || {
            let metrics = get(&format!("http://127.0.0.1:{}/metrics", self.port)).unwrap_or_default();
            metrics.lines().any(|line| line.strip_prefix("boxbox_edge_connections ").is_some_and(|cars| cars != "0"))
        });
        let (mut filler, block) = (File::create(self.filler()).unwrap(), vec![1_u8; 1 << 20]);
        while filler.write_all(&block).is_ok() {}
    }

    /// Gives the space back.
    pub(crate) fn empty(&mut self) {
        std::fs::remove_file(self.filler()).unwrap();
        self.end_cars();
    }

    fn end_cars(&mut self) {
        if let Some(mut cars) = self.cars.take() {
            let _ = cars.kill();
            let _ = cars.wait();
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.end_cars();
        self.server = None;
        let _ = Command::new("umount").arg(self.mount.path()).status();
    }
}
