//! The agent that shows a Java process's figures to Prometheus, from Maven Central: what `grafana/exporters/kafka.Dockerfile` adds to the broker.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::once::once;
use crate::tools::{self, Missing};
use crate::{fetch, folders};

/// As in `grafana/exporters/kafka.Dockerfile`.
const VERSION: &str = "1.0.1";

/// The agent's jar.
pub fn jmx_agent() -> Result<PathBuf> {
    let folder = folders::xtask().join("jmx_agent").join(VERSION);
    let fetched = once(&folder, |part| {
        let mvn = tools::find("mvn").ok_or_else(|| Missing::error("no Maven", "apt install maven"))?;
        let mut command = Command::new(mvn);
        command.args(["-q", "-B", "--strict-checksums", "dependency:copy"]);
        command.arg(format!("-Dartifact=io.prometheus.jmx:jmx_prometheus_javaagent:{VERSION}"));
        command.arg(format!("-DoutputDirectory={}", part.display()));
        if let Some(home) = fetch::java()?.home() {
            command.env("JAVA_HOME", home);
        }
        tools::run(&mut command).map(drop).context("Maven could not fetch the agent (is Maven Central reachable?)")
    })?;
    Ok(fetched.join(format!("jmx_prometheus_javaagent-{VERSION}.jar")))
}
