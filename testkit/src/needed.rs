//! What a test needs and a machine may lack.

use crate::not_run;
use crate::tools::missing;

/// A value that `test` needs, unless this machine lacks a program or a download that makes it: then `None`, and the test is
/// reported as not run.
///
/// # Panics
/// With any other error.
pub fn needed<T>(test: &str, made: anyhow::Result<T>) -> Option<T> {
    match made {
        Ok(value) => Some(value),
        Err(error) if missing(&error).is_some() => {
            not_run(test, format_args!("{error:#}"));
            None
        }
        Err(error) => panic!("{error:#}"),
    }
}
