//! Penalties as people write them.

use boxbox_race::scoring::{Excluded, PenaltyKind, Points};

/// What a penalty text means, for messages and help.
pub const HELP: &str = "5s, dsq, drive-through, stop-go 10, 3 places, -1 lap, -2 points, no bonus, best lap deleted; several with ; between";
/// The same for the whole season.
pub const SEASON_HELP: &str = "-5 points, +5 points, excluded (loses its rank), excluded points (loses both)";

/// The penalties of a session in one cell.
pub fn of_session(text: &str) -> Result<Vec<PenaltyKind>, String> {
    text.split([';', '|']).map(str::trim).filter(|part| !part.is_empty()).map(one).collect()
}

fn one(text: &str) -> Result<PenaltyKind, String> {
    let wrong = || format!("{text:?} is no penalty; write {HELP}");
    let lower = text.to_lowercase().replace(['-', '_'], " ");
    let lower = lower.split_whitespace().collect::<Vec<_>>().join(" ");
    match lower.as_str() {
        "dsq" | "dq" | "disqualified" => return Ok(PenaltyKind::Disqualified),
        "drive through" | "dt" => return Ok(PenaltyKind::DriveThrough),
        "no bonus" => return Ok(PenaltyKind::NoBonus),
        "best lap deleted" | "lap deleted" => return Ok(PenaltyKind::BestLapDeleted { next_us: None }),
        _ => {}
    }
    for prefix in ["stop go", "stop and go", "sg"] {
        if let Some(seconds) = lower.strip_prefix(prefix) {
            let seconds = seconds.trim().trim_end_matches('s').trim();
            let seconds: u32 = if seconds.is_empty() { 0 } else { seconds.parse().map_err(|_| wrong())? };
            return if seconds <= 3_600 { Ok(PenaltyKind::StopAndGo { seconds }) } else { Err(wrong()) };
        }
    }
    let (number, unit) = number(text).ok_or_else(wrong)?;
    let whole = || number.to_string().parse::<i32>().ok();
    match unit.as_str() {
        "s" | "sec" | "seconds" | "second" => {
            let us = number * &Points::from(1_000_000);
            let us: i64 = us.to_string().parse().map_err(|_| wrong())?;
            if us < 0 {
                return Err(format!("{text:?} would make the car faster; write +{} for a penalty", text.trim().trim_start_matches('-').trim()));
            }
            if us <= 36_000_000_000 { Ok(PenaltyKind::Time { us }) } else { Err(format!("{text:?} is over ten hours")) }
        }
        "place" | "places" | "position" | "positions" => {
            let places = whole().map(i32::unsigned_abs).filter(|places| (1..=1_000).contains(places)).ok_or_else(wrong)?;
            Ok(PenaltyKind::Positions { places })
        }
        "lap" | "laps" => Ok(PenaltyKind::Laps { laps: whole().filter(|laps| laps.abs() <= 100_000).ok_or_else(wrong)? }),
        "point" | "points" if text.trim().starts_with('+') => {
            Err(format!("{text:?}: no decision adds points to a session; see the penalties of a season"))
        }
        "point" | "points" => Ok(PenaltyKind::Points { points: if number.is_negative() { -number } else { number } }),
        _ => Err(wrong()),
    }
}

/// A number with a sign, and the word behind it.
fn number(text: &str) -> Option<(Points, String)> {
    let text = text.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| c.is_alphabetic() || c == ' ')?;
    let number = text[..end].trim().parse().ok()?;
    Some((number, text[end..].trim().to_lowercase()))
}

/// What a decision about a season does.
pub enum OfSeason {
    /// Points.
    Points(Points),
    /// Out of the ranking.
    Excluded(Excluded),
}

/// A decision about the whole season.
pub fn of_season(text: &str) -> Result<OfSeason, String> {
    let wrong = || format!("{text:?} is no decision about a season; write {SEASON_HELP}, or name the event");
    match text.trim().to_lowercase().as_str() {
        "excluded" | "exclude" => Ok(OfSeason::Excluded(Excluded::Rank)),
        "excluded points" | "exclude points" => Ok(OfSeason::Excluded(Excluded::Points)),
        _ => match number(text) {
            Some((points, unit)) if matches!(unit.as_str(), "point" | "points") && text.trim().starts_with(['+', '-']) => {
                Ok(OfSeason::Points(points))
            }
            _ => Err(wrong()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_penalty_has_a_text() {
        let expected = vec![
            PenaltyKind::Time { us: 5_000_000 },
            PenaltyKind::Time { us: 2_500_000 },
            PenaltyKind::Disqualified,
            PenaltyKind::DriveThrough,
            PenaltyKind::StopAndGo { seconds: 10 },
            PenaltyKind::Positions { places: 3 },
            PenaltyKind::Laps { laps: -1 },
            PenaltyKind::Points { points: Points::new(5, 2) },
            PenaltyKind::NoBonus,
            PenaltyKind::BestLapDeleted { next_us: None },
        ];
        let text = "+5s; 2.5 s; DSQ; drive-through; Stop-Go 10s; 3 places; -1 lap; 2.5 points; no bonus; best lap deleted;";
        assert_eq!(of_session(text), Ok(expected));
        for wrong in
            ["5", "s", "5 bananas", "stop-go x", "0 places", "+3 points", "dsqq", "1/0 s", "99999999999 s", "1.5 laps", "-5s", "-0.001 s", "- 5 sec"]
        {
            assert!(of_session(wrong).is_err(), "{wrong}");
        }
        assert!(of_session("5s; -2.5 s").unwrap_err().contains("write +2.5 s for a penalty"));
    }

    #[test]
    fn a_decision_about_a_season_has_a_sign() {
        assert!(matches!(of_season("-5 points"), Ok(OfSeason::Points(points)) if points == Points::from(-5)));
        assert!(matches!(of_season("+1 point"), Ok(OfSeason::Points(points)) if points == Points::from(1)));
        assert!(matches!(of_season("Excluded"), Ok(OfSeason::Excluded(Excluded::Rank))));
        for wrong in ["5 points", "5s", "", "dsq"] {
            assert!(of_season(wrong).is_err(), "{wrong}");
        }
    }
}
