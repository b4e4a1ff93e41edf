//! Python's package manager, pip.

use crate::tools;

/// `python3 -m pip`, if this machine has it.
pub fn pip() -> Option<std::process::Command> {
    let python = tools::find("python3")?;
    tools::says(&python, &["-m", "pip", "--version"])?;
    let mut pip = std::process::Command::new(python);
    pip.args(["-m", "pip", "--disable-pip-version-check", "--quiet"]);
    Some(pip)
}
