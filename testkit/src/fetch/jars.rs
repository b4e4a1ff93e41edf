//! Apache Kafka's jars, from Maven Central. The admin command lines are not among them, the broker is.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::once::once;
use crate::tools::{self, Missing};
use crate::{fetch, folders};

/// The broker that tests run against.
pub const KAFKA_VERSION: &str = "4.3.1";

/// Without a logging backend the broker logs nothing at all; this is the one its own distribution ships.
const LOG4J_VERSION: &str = "2.25.4";

/// The folder of the broker's class path: 46 jars, 44 MB, fetched in some seconds the first time.
pub fn kafka_jars() -> Result<PathBuf> {
    let folder = jars_folder();
    once(&folder, |part| {
        let mvn = tools::find("mvn").ok_or_else(|| Missing::error("no Maven", "apt install maven"))?;
        // Beside the folder and not in it: every file in it is on the class path.
        let pom = folder.with_file_name("pom.xml");
        std::fs::write(&pom, POM.replace("KAFKA", KAFKA_VERSION).replace("LOG4J", LOG4J_VERSION))?;
        let mut command = Command::new(mvn);
        command.args(["-q", "-B", "--strict-checksums", "-f"]).arg(&pom).arg("dependency:copy-dependencies");
        command.arg(format!("-DoutputDirectory={}", part.display()));
        if let Some(home) = fetch::java()?.home() {
            command.env("JAVA_HOME", home);
        }
        tools::run(&mut command).map(drop).context("Maven could not fetch Kafka's jars (is Maven Central reachable?)")
    })
}

/// True if they are fetched already: then nothing more is needed for them.
pub fn has_kafka_jars() -> bool {
    jars_folder().exists()
}

fn jars_folder() -> PathBuf {
    folders::xtask().join("kafka").join(KAFKA_VERSION).join("lib")
}

const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>boxbox</groupId>
  <artifactId>kafka-for-tests</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>KAFKA</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>LOG4J</version></dependency>
  </dependencies>
</project>
"#;
