//! [`MemoryLimit`]: a group of processes that may use so much memory and no more, as in a container (Linux's memory cgroup).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// Where version 1 has its memory groups, and version 2 all of them.
const VERSION_1: &str = "/sys/fs/cgroup/memory";
const VERSION_2: &str = "/sys/fs/cgroup";

/// A group with a limit. It is removed when it is dropped; its processes must have ended.
#[derive(Debug)]
pub struct MemoryLimit {
    group: PathBuf,
}

impl MemoryLimit {
    /// Makes a group whose processes may use `max_bytes`. Fails with words where this machine or this user cannot.
    pub fn new(max_bytes: u64) -> anyhow::Result<Self> {
        let (root, limit, swap) = if Path::new(VERSION_1).join("memory.limit_in_bytes").exists() {
            (VERSION_1, "memory.limit_in_bytes", None)
        } else if Path::new(VERSION_2).join("cgroup.controllers").exists() {
            (VERSION_2, "memory.max", Some("memory.swap.max"))
        } else {
            bail!("this system has no memory cgroup: run without --memory-max");
        };
        let group = Path::new(root).join(format!("boxbox-{}", std::process::id()));
        std::fs::create_dir(&group).with_context(|| format!("cannot make {}: a memory limit needs root", group.display()))?;
        let made = Self { group };
        std::fs::write(made.group.join(limit), max_bytes.to_string()).with_context(|| format!("cannot set the limit in {}", made.group.display()))?;
        if let Some(swap) = swap {
            // Without swap accounting there is no such file.
            let _ = std::fs::write(made.group.join(swap), "0");
        }
        Ok(made)
    }

    /// A command that runs `program` in the group: a shell joins the group and becomes the program, so that its process id is the child's.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("sh");
        let join = OsString::from("echo $$ > \"$0\" && exec \"$@\"");
        command.arg("-c").arg(join).arg(self.group.join("cgroup.procs")).arg(program);
        command
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.group);
    }
}
