//! What a result file says, whatever form it has.

use boxbox_race::scoring::DrivenCar;

/// Largest file, bytes. The result of a race of 24 hours with 60 cars has about 5 MB.
pub const FILE_MAX: usize = 64 << 20;
/// What a result file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResultFile {
    /// Which form it has.
    pub form: Form,
    /// The track, as the file names it.
    pub track: String,
    /// Its sessions, in their order.
    pub sessions: Vec<ResultSession>,
    /// What the file has and this reading leaves out.
    pub notes: Vec<String>,
}

/// The forms of result files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// iRacing's result of a subsession.
    IRacing,
    /// The dump of a server of Assetto Corsa Competizione.
    Competizione,
    /// The result of a server of Assetto Corsa.
    CorsaServer,
    /// `race_out.json` of Assetto Corsa.
    CorsaGame,
}

/// A session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResultSession {
    /// Its name in the file.
    pub name: String,
    /// Its kind.
    pub kind: SessionKind,
    /// The cars, in the order of the file.
    pub cars: Vec<ResultCar>,
}

/// The kind of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionKind {
    /// Practice and warm-up.
    Practice,
    /// Ordered by best laps.
    Qualifying,
    /// Ordered by distance.
    Race,
}

/// A car.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResultCar {
    /// How it was driven. Its `entry` is the name of its driver (of its team, if it has several) where these are distinct in every session
    /// of the file, else its number where those are, else the name with the account.
    pub driven: DrivenCar,
    /// What is written on it; empty if the file does not say.
    pub number: String,
    /// Its drivers, with the laps that each drove.
    pub drivers: Vec<ResultDriver>,
    /// The simulator itself disqualified it.
    pub disqualified: bool,
}

/// A driver of a car.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResultDriver {
    /// The account in the simulator; empty if the file does not say.
    pub account: String,
    /// The name.
    pub name: String,
    /// Laps in this car.
    pub laps: u32,
}

/// Why a result file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResultError {
    /// Too large.
    #[error("the file has {0} bytes; result files have at most {FILE_MAX}")]
    TooLarge(usize),
    /// Neither UTF-8 nor UTF-16.
    #[error("the file is no text in UTF-8 or UTF-16; give the result file as the simulator wrote it")]
    NoText,
    /// Not JSON.
    #[error("the file is no JSON: {0}; if it was edited, give the file as the simulator wrote it")]
    NoJson(String),
    /// JSON, but no known result file.
    #[error(
        "the file is JSON, but no known result file: iRacing's has session_results, Competizione's has sessionResult.leaderBoardLines, a server of \
         Assetto Corsa's has Cars and Result, its race_out.json has players and sessions"
    )]
    Unknown,
    /// A known form, but a field is missing or makes no sense.
    #[error("{form}: {what}; this version may be unknown, please report it with the file")]
    Field {
        /// The form.
        form: &'static str,
        /// The field, and what is wrong.
        what: String,
    },
}
