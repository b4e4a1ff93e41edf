//! Steps 7 and 8 of a session's score (`score.order`): who may score, and what each place is worth.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::classify::{ClassifiedCar, Standing};
use super::driven::{Ended, Penalty, PenaltyKind};
use super::points::Points;
use super::rules::{Bonus, BonusKind, BonusTie, Guests, Ineligible, PointsRules, ScoredBy, Ties, Unclassified};

/// What a car scored in a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Score {
    /// The entry.
    pub entry: String,
    /// Its class.
    pub class: String,
    /// Its team of the day.
    pub team: String,
    /// The place that its points are for; none where it scores no place.
    pub scoring_place: Option<u32>,
    /// The place, of whichever kind the rules count; for countbacks.
    pub place: Option<u32>,
    /// The points of the place.
    pub place_points: Points,
    /// Everything, deductions included.
    pub total: Points,
    /// It was disqualified.
    pub disqualified: bool,
    /// It started.
    pub started: bool,
    /// Its incident points.
    pub incidents: u32,
    /// Where each part of the total comes from.
    pub why: Vec<Reason>,
}

/// A part of a score.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reason {
    /// The rule.
    pub rule: String,
    /// What it gave or took.
    pub points: Points,
}

/// How long a race was (`points.distance`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Distance {
    /// The part of the planned distance that the leader completed; 1 for a whole race.
    pub part: Points,
    /// Laps of the leader under green, if that is known; without a word there were enough.
    #[serde(default)]
    pub green_laps: Option<u32>,
}

impl Default for Distance {
    fn default() -> Self {
        Self { part: Points::from(1), green_laps: None }
    }
}

/// The scores of a session, in the order of its classification.
pub fn award(cars: &[ClassifiedCar], penalties: &[Penalty], distance: &Distance, rules: &PointsRules) -> Vec<Score> {
    let mut scores: Vec<Score> = cars.iter().map(|car| started(car, rules)).collect();
    let table = Table::of(rules, distance);
    let multiplier = if rules.multiplier.is_zero() { Points::from(1) } else { rules.multiplier.clone() };
    let mut classes: BTreeSet<&str> = cars.iter().map(|car| if rules.by == ScoredBy::Class { car.car.class.as_str() } else { "" }).collect();
    if distance.green_laps.is_some_and(|laps| laps < rules.min_green_laps) {
        // The race is worth nothing (`points.distance`). Points that a decision takes off are still taken off.
        classes.clear();
        scores.iter_mut().for_each(|score| score.why.clear());
    }
    for class in classes {
        let in_class: Vec<usize> = (0..cars.len()).filter(|at| rules.by == ScoredBy::Overall || cars[*at].car.class == class).collect();
        award_places(cars, &in_class, &table, rules, &mut scores);
        for bonus in &rules.bonuses {
            if bonus.min_distance.as_ref().is_none_or(|least| distance.part >= *least) {
                award_bonus(cars, &in_class, bonus, penalties, &mut scores);
            }
        }
    }
    for score in &mut scores {
        for reason in &mut score.why {
            reason.points = reason.points.clone() * &multiplier;
        }
        score.place_points = score.place_points.clone() * &multiplier;
        for penalty in penalties.iter().filter(|penalty| penalty.entry == score.entry) {
            if let PenaltyKind::Points { points } = &penalty.kind {
                score.why.push(Reason { rule: "points taken off".into(), points: -points.clone() });
            }
        }
        score.total = score.why.iter().map(|reason| reason.points.clone()).sum();
    }
    scores
}

fn started(car: &ClassifiedCar, rules: &PointsRules) -> Score {
    let started = car.car.ended != Ended::NotStarted;
    let mut why = vec![];
    if started && !car.car.guest && car.status != Standing::Disqualified && !rules.participation.is_zero() {
        why.push(Reason { rule: "participation".into(), points: rules.participation.clone() });
    }
    Score {
        entry: car.car.entry.clone(),
        class: car.car.class.clone(),
        team: car.car.team.clone(),
        scoring_place: None,
        place: if rules.by == ScoredBy::Class { car.class_place } else { car.place },
        place_points: Points::default(),
        total: Points::default(),
        disqualified: car.status == Standing::Disqualified,
        started,
        incidents: car.car.incidents,
        why,
    }
}

/// The points of places.
struct Table {
    places: Vec<Points>,
    beyond: Points,
}

impl Table {
    /// The table for a race of this length: that of the shortest rule that covers it.
    fn of(rules: &PointsRules, distance: &Distance) -> Self {
        let short = rules.partial.iter().filter(|partial| distance.part < partial.below).min_by(|a, b| a.below.cmp(&b.below));
        match short {
            Some(short) if !short.table.is_empty() => Self { places: short.table.clone(), beyond: Points::default() },
            Some(short) => Self {
                places: rules.table.iter().map(|points| points.clone() * &short.factor).collect(),
                beyond: rules.beyond.clone() * &short.factor,
            },
            None => Self { places: rules.table.clone(), beyond: rules.beyond.clone() },
        }
    }

    /// The points of place `place`, 1-based.
    fn at(&self, place: usize) -> Points {
        self.places.get(place - 1).unwrap_or(&self.beyond).clone()
    }
}

/// Step 7, and the places of step 8. Cars that share a place share the points of all the places that they take up.
fn award_places(cars: &[ClassifiedCar], in_class: &[usize], table: &Table, rules: &PointsRules, scores: &mut [Score]) {
    let by_class = rules.by == ScoredBy::Class;
    let place_of = |at: usize| if by_class { cars[at].class_place } else { cars[at].place };
    let unclassified = |at: usize| rules.unclassified == Unclassified::Table && cars[at].status == Standing::NotClassified;
    let placed: Vec<usize> = in_class.iter().copied().filter(|at| place_of(*at).is_some() || unclassified(*at)).collect();
    // A guest takes a place up only where the cars behind do not move up.
    let counted: Vec<usize> = placed.into_iter().filter(|at| rules.guests == Guests::KeepPlace || !cars[*at].car.guest).collect();
    let mut first = 0;
    while first < counted.len() {
        let place = place_of(counted[first]);
        let together = counted[first..].iter().take_while(|at| place.is_some() && place_of(**at) == place).count().max(1);
        let worth = match rules.ties {
            Ties::Same => table.at(first + 1),
            Ties::Pool => (first + 1..=first + together).map(|place| table.at(place)).sum::<Points>() / together,
        };
        for at in &counted[first..first + together] {
            if cars[*at].car.guest {
                continue;
            }
            let score = &mut scores[*at];
            score.scoring_place = Some(first as u32 + 1);
            score.place_points = worth.clone();
            if !worth.is_zero() {
                let shared = if together > 1 { format!(", shared by {together}") } else { String::new() };
                score.why.push(Reason { rule: format!("place {}{shared}", first + 1), points: worth.clone() });
            }
        }
        first += together;
    }
}

fn award_bonus(cars: &[ClassifiedCar], in_class: &[usize], bonus: &Bonus, penalties: &[Penalty], scores: &mut [Score]) {
    let may = |at: usize| {
        let car = &cars[at];
        let forbidden = penalties.iter().any(|penalty| penalty.entry == car.car.entry && penalty.kind == PenaltyKind::NoBonus);
        let top = bonus.top.is_none_or(|top| scores[at].scoring_place.is_some_and(|place| place <= top));
        !car.car.guest && !forbidden && top && (!bonus.classified || car.status == Standing::Classified)
    };
    // Disqualified cars hold nothing (`penalty.disqualified`).
    let running: Vec<usize> = in_class.iter().copied().filter(|at| cars[*at].status != Standing::Disqualified && scores[*at].started).collect();
    if let BonusKind::Stage(stage, table) = &bonus.kind {
        for at in running.into_iter().filter(|at| may(*at)).collect::<Vec<_>>() {
            let place = cars[at].car.stages.get(*stage).copied().flatten();
            let points = place.and_then(|place| table.get((place as usize).checked_sub(1)?)).cloned();
            give(&mut scores[at], &format!("stage {}", stage + 1), points.unwrap_or_default());
        }
        return;
    }
    let holders = match bonus.ineligible {
        Ineligible::Nobody => {
            let holders = holders(cars, &running, &bonus.kind);
            holders.into_iter().filter(|at| may(*at)).collect::<Vec<_>>()
        }
        Ineligible::BestEligible => {
            let eligible: Vec<usize> = running.into_iter().filter(|at| may(*at)).collect();
            holders(cars, &eligible, &bonus.kind)
        }
    };
    let each = bonus.kind.each();
    let holders = if bonus.tie == BonusTie::First && !each { holders.into_iter().take(1).collect() } else { holders };
    let points = if bonus.tie == BonusTie::Split && !each { bonus.points.clone() / holders.len() } else { bonus.points.clone() };
    for at in holders {
        give(&mut scores[at], bonus.kind.name(), points.clone());
    }
}

fn give(score: &mut Score, rule: &str, points: Points) {
    if !points.is_zero() {
        score.why.push(Reason { rule: rule.into(), points });
    }
}

/// Which of `among` hold what a bonus is for, in the order of the classification.
fn holders(cars: &[ClassifiedCar], among: &[usize], kind: &BonusKind) -> Vec<usize> {
    let best = |value: &dyn Fn(usize) -> Option<i64>| -> Vec<usize> {
        let most = among.iter().filter_map(|at| value(*at)).max();
        among.iter().copied().filter(|at| most.is_some() && value(*at) == most).collect()
    };
    match kind {
        BonusKind::Pole => best(&|at| cars[at].car.grid.map(|grid| -i64::from(grid))),
        BonusKind::FastestLap => {
            let fastest = best(&|at| cars[at].car.best_lap_us.map(|us| -us));
            // Of equal laps the one that was set first; where that is not known, all.
            let first = fastest.iter().filter_map(|at| cars[*at].car.best_lap_at_us).min();
            fastest.into_iter().filter(|at| first.is_none() || cars[*at].car.best_lap_at_us == first).collect()
        }
        BonusKind::LedALap => among.iter().copied().filter(|at| cars[*at].car.laps_led > 0).collect(),
        BonusKind::MostLapsLed => best(&|at| Some(cars[at].car.laps_led).filter(|led| *led > 0).map(i64::from)),
        BonusKind::Clean(most) => among.iter().copied().filter(|at| cars[*at].car.incidents <= *most).collect(),
        BonusKind::MostPlacesGained => best(&|at| Some(i64::from(cars[at].car.grid?) - i64::from(cars[at].place?)).filter(|gained| *gained > 0)),
        BonusKind::Stage(..) => vec![],
    }
}

impl BonusKind {
    /// Whether everyone who meets it has it, so that there is no tie.
    fn each(&self) -> bool {
        matches!(self, BonusKind::LedALap | BonusKind::Clean(_))
    }

    fn name(&self) -> &'static str {
        match self {
            BonusKind::Pole => "pole",
            BonusKind::FastestLap => "fastest lap",
            BonusKind::LedALap => "led a lap",
            BonusKind::MostLapsLed => "most laps led",
            BonusKind::Clean(_) => "clean race",
            BonusKind::MostPlacesGained => "most places gained",
            BonusKind::Stage(..) => "stage",
        }
    }
}

/// The points of the drivers of one car: each who drove at least `least` of its laps has all of them (WEC, IMSA), or, with `split`, each
/// his share. `laps` is what each driver drove.
pub fn driver_points(points: &Points, laps: &BTreeMap<String, u32>, least: &Points, split: bool) -> BTreeMap<String, Points> {
    let all: i64 = laps.values().map(|laps| i64::from(*laps)).sum();
    let share = |laps: u32| Points::new(laps.into(), all);
    let of = |laps: u32| match () {
        () if all == 0 => Points::default(),
        () if split => points.clone() * &share(laps),
        () if share(laps) >= *least => points.clone(),
        () => Points::default(),
    };
    laps.iter().map(|(driver, laps)| (driver.clone(), of(*laps))).collect()
}

/// What each team scored in a session or event: the best `best` scores of its cars, or all with `None`.
pub fn team_points<'a>(scores: impl IntoIterator<Item = (&'a str, &'a Points)>, best: Option<usize>) -> BTreeMap<String, Points> {
    let mut of_team: BTreeMap<&str, Vec<&Points>> = BTreeMap::new();
    scores.into_iter().for_each(|(team, points)| of_team.entry(team).or_default().push(points));
    let sum = |mut points: Vec<&Points>| {
        points.sort_by(|a, b| b.cmp(a));
        points.into_iter().take(best.unwrap_or(usize::MAX)).cloned().sum()
    };
    of_team.into_iter().map(|(team, points)| (team.to_owned(), sum(points))).collect()
}
