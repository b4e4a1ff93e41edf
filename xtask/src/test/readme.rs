//! The README's first command, run as written: a new user's first step must work.
//!
//! It is the demo race; without a terminal it prints each lap beside the time that the car was made to drive.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::steps::{Ended, Steps, command};
use boxbox_testkit::folders;

/// Time for a run that takes seconds; its build is a separate step.
const DEADLINE: Duration = Duration::from_secs(300);

/// The demo's cars drive at least this many laps together.
const LAPS: usize = 100;

/// How far a lap may be from the time its car was made to drive.
const TOLERANCE_MS: i64 = 2;

/// Runs the first command of README.md in a new data folder, and looks for the laps in its output.
pub(super) fn first_command(steps: &Steps, mut show: impl FnMut(&str)) -> Result<Vec<String>> {
    let readme = std::fs::read_to_string(folders::workspace().join("README.md")).context("cannot read README.md")?;
    let line = parse(&readme).context("README.md has no ```sh block with a command in it")?;
    let mut words = line.split_whitespace();
    let program = words.next().context("README.md's first command is empty")?;
    let mut output = Vec::new();
    // BOXBOX_DATA instead of --data: the command stays as the reader types it.
    let mut demo = command(program);
    demo.args(words).env("BOXBOX_DATA", steps.file("demo-data"));
    show(&format!("$ {line}"));
    let ended = steps.run(&mut demo, DEADLINE, |line| {
        show(line);
        output.push(line.to_owned());
    })?;
    let mut wrong = Vec::new();
    if ended != Ended::Well {
        wrong.push(format!("`{line}` {ended}"));
    }
    if let Err(error) = laps(&output) {
        wrong.push(format!("`{line}`: {error}"));
    }
    Ok(wrong)
}

/// The first command of the first ```sh block.
fn parse(readme: &str) -> Option<&str> {
    let block = readme.split_once("```sh\n")?.1.split_once("```")?.0;
    block.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Laps printed as `car  number  time  true time …`, each once, each right.
fn laps(output: &[String]) -> Result<()> {
    let mut laps = BTreeMap::new();
    for line in output {
        let mut words = line.split_whitespace();
        let mut number = || words.next().and_then(|word| word.parse::<u32>().ok());
        let (Some(car), Some(number)) = (number(), number()) else { continue };
        let (Some(ours), Some(truth)) = (words.next().and_then(millis), words.next().and_then(millis)) else {
            continue;
        };
        ensure!((ours - truth).abs() <= TOLERANCE_MS, "lap {number} of car {car} is {} ms off", ours - truth);
        ensure!(laps.insert((car, number), ours).is_none(), "lap {number} of car {car} was printed twice");
    }
    if laps.len() < LAPS {
        bail!("printed {} laps with their times, fewer than {LAPS}", laps.len());
    }
    Ok(())
}

/// `1:32.556` in milliseconds.
fn millis(text: &str) -> Option<i64> {
    let (minutes, rest) = text.split_once(':')?;
    let (seconds, millis) = rest.split_once('.').filter(|(seconds, millis)| seconds.len() == 2 && millis.len() == 3)?;
    Some(minutes.parse::<i64>().ok()? * 60_000 + seconds.parse::<i64>().ok()? * 1_000 + millis.parse::<i64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_first_command_of_the_first_block() {
        assert_eq!(
            parse("# T\n```text\nno\n```\n```sh\n# first\ncargo run --release -- demo\ncargo xtask test\n```\n"),
            Some("cargo run --release -- demo")
        );
        assert_eq!(parse("# T\n```sh\n```\n"), None);
        assert_eq!(parse("# T\n"), None);
    }

    #[test]
    fn enough_right_laps_and_nothing_less() {
        let lap = |n: usize| format!("  {}   {}    0:21.346    0:21.346  +0.0 ms\n", 100 + n % 10, n / 10 + 1);
        let good: String = (0..LAPS).map(lap).collect();
        let around = |laps: &str| format!("24 clients\n{laps}    1  GT3  12  Ada  6\n1202 frames sent\n");
        laps(&output(&around(&good))).unwrap();
        let said = |text: &str| laps(&output(text)).unwrap_err().to_string();
        assert!(said(&around(&good.replacen("  103 ", "    x ", 1))).contains("printed 99 laps"));
        assert!(said(&around(&(good.clone() + &lap(0)))).contains("twice"));
        assert!(said(&around(&good.replacen("0:21.346  +", "0:21.300  +", 1))).contains("46 ms off"));
    }

    #[test]
    fn lap_times_are_read_as_written() {
        assert_eq!(millis("1:32.556"), Some(92_556));
        assert_eq!(millis("1:2.5"), None);
        assert_eq!(millis("92.556"), None);
    }
}
