//! The server holds against every shape of attack at once, for a short time. The campaign does it for ten minutes.

#![allow(unused_crate_dependencies, reason = "an integration test does not use every dependency of its package")]

use std::process::Command;

use boxbox_testkit::not_run::not_run;

/// What docker-compose.yml gives the server, MiB.
const MEMORY_MAX_MIB: &str = "512";

#[test]
fn honest_cars_notice_nothing_of_an_attack() {
    let attack = env!("CARGO_BIN_EXE_boxbox-attack");
    let server = std::path::Path::new(attack).with_file_name(format!("boxbox{}", std::env::consts::EXE_SUFFIX));
    if !server.exists() {
        return not_run("honest_cars_notice_nothing_of_an_attack", "boxbox is not built: cargo build --release");
    }
    let campaign = std::env::var_os("BOXBOX_CAMPAIGN").is_some();
    let seconds = if campaign { "600" } else { "15" };
    let mut command = Command::new(attack);
    command.args(["--seconds", seconds]);
    if std::fs::create_dir("/sys/fs/cgroup/memory/boxbox-probe").and_then(|()| std::fs::remove_dir("/sys/fs/cgroup/memory/boxbox-probe")).is_ok() {
        command.args(["--memory-max", MEMORY_MAX_MIB]);
    }
    let ran = command.output().expect("the program was built beside this test");
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    println!("{said}");
    assert!(ran.status.success(), "the server did not hold: {said}");
}
