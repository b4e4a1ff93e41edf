//! Rules on text: how a source file opens, its length, white space, paths of one machine, documents that name every folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Most lines of a source file; 100 to 300 are comfortable. Tests may be longer.
const MAX_LINES: usize = 600;

/// Documents that must name every folder of the workspace, where they exist.
const MAPS: &[&str] = &["README.md", "docs/ARCHITECTURE.md"];

/// Extensions of files that are read as text.
const TEXT: &[&str] = &["rs", "toml", "md", "sql", "yml", "yaml", "sh", "json", "html", "css", "js", "py"];

/// Folders of machines rather than of the project, in pieces so that this file does not name them.
const MACHINE_FOLDERS: &[&str] = &[concat!("/", "root/"), concat!("/", "home/"), concat!("/", "work/")];

/// Checks the workspace at `root`. Each line is one fault: `file:line: what`.
pub(super) fn check(root: &Path, members: &[String]) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for file in &files(root)? {
        // A file that is not UTF-8 is binary and has no lines to check.
        if let Ok(text) = std::fs::read_to_string(root.join(file)) {
            wrong.extend(check_file(file, &text));
        }
    }
    for map in MAPS {
        if let Ok(text) = std::fs::read_to_string(root.join(map)) {
            let absent = members.iter().filter(|member| !names_folder(&text, member));
            wrong.extend(absent.map(|member| format!("{map}: does not mention the folder {member}")));
        }
    }
    Ok(wrong)
}

/// The text files of the workspace at `root`, relative to it.
pub(super) fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    walk(root, Path::new(""), &mut files)?;
    files.sort();
    Ok(files)
}

fn check_file(file: &Path, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = file.display();
    if file.extension().is_some_and(|extension| extension == "rs") {
        if !text.starts_with("//!") {
            wrong.push(format!("{name}:1: a source file opens with //! and what it is"));
        }
        let lines = text.lines().count();
        if lines > MAX_LINES && !is_test(file) {
            wrong.push(format!("{name}: {lines} lines; split it, {MAX_LINES} is the most"));
        }
    }
    for (number, line) in text.lines().enumerate() {
        let mut say = |what: &str| wrong.push(format!("{name}:{}: {what}", number + 1));
        if line.contains('\t') {
            say("a tab; spaces indent here");
        }
        if line.ends_with([' ', '\t']) {
            say("white space at the end of the line");
        }
        if let Some(folder) = MACHINE_FOLDERS.iter().find(|folder| names_path(line, folder)) {
            say(&format!("names {folder}, a folder of one machine"));
        }
    }
    wrong
}

/// True if the line names an absolute path that begins with `folder`, rather than having it inside a longer path or URL.
fn names_path(line: &str, folder: &str) -> bool {
    let within = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '}' | ')' | '/');
    line.match_indices(folder).any(|(at, _)| !line[..at].ends_with(within))
}

fn names_folder(text: &str, folder: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    text.match_indices(folder).any(|(at, _)| !text[..at].ends_with(inside) && !text[at + folder.len()..].starts_with(inside))
}

pub(super) fn is_test(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "tests") || file.file_stem().is_some_and(|stem| stem == "tests")
}

/// Text files below `root/folder`, relative to `root`; build output and version control are not the project's text.
fn walk(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let here = root.join(folder);
    for entry in std::fs::read_dir(&here).with_context(|| format!("cannot read {}", here.display()))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if kind.is_dir() && !matches!(name.as_str(), "target" | ".git" | "node_modules") && !name.ends_with("-data") {
            walk(root, &path, files)?;
        } else if kind.is_file() && (path.starts_with(".ci") || path.extension().is_some_and(|e| TEXT.iter().any(|text| e == *text))) {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(file: &str, text: &str) -> String {
        check_file(Path::new(file), text).join("\n")
    }

    #[test]
    fn each_rule_finds_its_breach() {
        assert_eq!(verdict("log/src/a.rs", "//! What it is.\n\nfn a() {}\n"), "");
        assert!(verdict("log/src/a.rs", "fn a() {}\n").contains("a.rs:1: a source file opens"));
        assert!(verdict("a.md", "one\ntwo \n").contains("a.md:2: white space"));
        assert!(verdict("a.toml", "\tx = 1\n").contains("a.toml:1: a tab"));
        let long = format!("//! Long.\n{}", "// line\n".repeat(MAX_LINES));
        assert!(verdict("log/src/a.rs", &long).contains("601 lines"));
        assert_eq!(verdict("log/tests/a.rs", &long), "");
        assert_eq!(verdict("log/src/a/tests.rs", &long), "");
    }

    #[test]
    fn machine_folders_are_found_as_paths_only() {
        let folder = MACHINE_FOLDERS[0];
        assert!(verdict("a.md", &format!("see {folder}x\n")).contains("a folder of one machine"));
        assert!(verdict("a.md", &format!("\"{folder}x\"\n")).contains("a folder of one machine"));
        assert_eq!(verdict("a.md", &format!("https://example.org{folder}x and a{folder}b and ${{x}}{folder}\n")), "");
    }

    #[test]
    fn a_folder_is_mentioned_by_its_whole_name() {
        assert!(names_folder("see `log/` there", "log") && names_folder("[log](log)", "log"));
        assert!(!names_folder("the catalogue, login, boxbox-log", "log"));
    }
}
