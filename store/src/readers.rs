//! [`Readers`]: how many of a store's connections for reading are in use, for the metrics.

/// A store's connections for reading at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Readers {
    /// Those that are reading.
    pub used: usize,
    /// Those that are open and wait for a reader.
    pub idle: usize,
    /// Most that read at once: further readers wait.
    pub max: usize,
}
