//! Result files of simulators (`score.result_file`): what each car did in each session, as the simulator lists it.
//!
//! * iRacing: a subsession's result as its members' site gives it (`session_results`), bare or within an `event_result`
//! * Assetto Corsa Competizione: what a server dumps (`leaderBoardLines`), UTF-16 or UTF-8
//! * Assetto Corsa: the result of a server (`Result`, `Laps`), and of the game itself (`race_out.json`)
//!
//! Reading is pure. A file of another form is refused; nothing is guessed from its fields. Penalties in a file are not applied, because
//! whether they count is a decision; notes say that they are there.

mod ac;
mod acc;
mod checks;
mod file;
mod iracing;
mod text;

pub use file::{FILE_MAX, Form, ResultCar, ResultDriver, ResultError, ResultFile, ResultSession, SessionKind};

/// Reads a result file.
///
/// # Errors
/// The file has another form, or a field of it makes no sense.
pub fn read(bytes: &[u8]) -> Result<ResultFile, ResultError> {
    if bytes.len() > FILE_MAX {
        return Err(ResultError::TooLarge(bytes.len()));
    }
    let text = text::decoded(bytes).ok_or(ResultError::NoText)?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| ResultError::NoJson(error.to_string()))?;
    let has = |value: &serde_json::Value, field: &str| value.get(field).is_some();
    match value {
        value if has(&value, "session_results") => iracing::read(value),
        mut value if value.get("data").is_some_and(|data| has(data, "session_results")) => iracing::read(value["data"].take()),
        value if value.get("sessionResult").is_some_and(|result| has(result, "leaderBoardLines")) => acc::read(value),
        value if has(&value, "Cars") && has(&value, "Result") => ac::server(value),
        value if has(&value, "players") && has(&value, "sessions") => ac::game(value),
        _ => Err(ResultError::Unknown),
    }
}
