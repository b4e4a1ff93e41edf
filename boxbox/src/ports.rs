//! The ports that a server uses where no others are given.

/// UDP port for sim clients.
pub const QUIC: u16 = 7443;
/// TCP port of the HTTP API.
pub const API: u16 = 7480;
/// TCP port of the listener for probes.
pub const PROBES: u16 = 7490;
