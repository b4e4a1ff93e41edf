//! Any lap, any description, any question: also what no edge lets through any more, for logs of before may hold it. What is
//! no number was never let through, and stores have no way to hold it in a description.

use boxbox_schemas::SessionId;
use boxbox_schemas::frame::{CarFrame, Presence, TrackLoc};
use boxbox_schemas::limits::{META_SECTORS_MAX, SIM_TIME_MAX_US};
use boxbox_schemas::meta::SessionMeta;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::server::Driven;

/// Every channel of a trace.
pub(crate) const CHANNELS: [&str; 25] = [
    "time_us",
    "tick",
    "lap_pct",
    "lap_dist_m",
    "speed_mps",
    "throttle",
    "brake",
    "clutch",
    "steer_rad",
    "gear",
    "rpm",
    "fuel_l",
    "lat_deg",
    "lon_deg",
    "accel_x_mps2",
    "accel_y_mps2",
    "accel_z_mps2",
    "velocity_x_mps",
    "velocity_y_mps",
    "yaw_rad",
    "heading_north_rad",
    "place",
    "yaw_rate_radps",
    "track_loc",
    "incident_count",
];

/// A session time, also the longest.
fn moment() -> impl Strategy<Value = i64> {
    prop_oneof![0i64..600_000_000, -SIM_TIME_MAX_US..=SIM_TIME_MAX_US, Just(-SIM_TIME_MAX_US), Just(SIM_TIME_MAX_US)]
}

fn length_m() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..20_000.0, 0.0..2e6, any::<f64>(), Just(0.0), Just(1e30), Just(f64::MAX)]
}

/// A description.
pub(crate) fn meta() -> impl Strategy<Value = SessionMeta> {
    let starts = prop_oneof![Just(vec![]), Just(vec![0.0, 0.4]), vec(any::<f64>(), 0..META_SECTORS_MAX)];
    (length_m(), starts, prop_oneof![Just("Race".to_owned()), Just(String::new())]).prop_map(|(track_length_m, sector_starts, session_type)| {
        SessionMeta { track_length_m, sector_starts, session_type, ..SessionMeta::default() }
    })
}

/// A lap with its frames.
pub(crate) fn driven() -> impl Strategy<Value = Driven> {
    let missing = prop_oneof![3 => Just(0u32), 1 => any::<u16>().prop_map(u32::from)];
    (moment(), moment(), vec(frame(), 0..40), missing).prop_map(|(start_us, end_us, frames, missing)| Driven { start_us, end_us, frames, missing })
}

fn frame() -> impl Strategy<Value = CarFrame> {
    let presence = prop_oneof![2 => Just(u64::MAX), 1 => any::<u64>()];
    let pct = prop_oneof![3 => 0.0..1.0, 1 => any::<f64>()];
    let dist_m = prop_oneof![2 => 0.0f32..10_000.0, 1 => any::<f32>()];
    let place = prop_oneof![(-90.0..90.0, -180.0..180.0), (any::<f64>(), any::<f64>())];
    let loc = prop_oneof![3 => Just(TrackLoc::ON_TRACK), 1 => any::<i8>().prop_map(TrackLoc)];
    (presence, moment(), pct, dist_m, place, any::<[f32; 16]>(), loc, any::<(u32, u16, i8, u8)>()).prop_map(
        |(presence, sim_time_us, lap_pct, lap_dist_m, (lat_deg, lon_deg), n, track_loc, (tick, incident_count, gear, place))| CarFrame {
            tick,
            sim_time_us,
            presence: Presence(presence),
            lap_pct,
            lat_deg,
            lon_deg,
            lap_dist_m,
            speed_mps: n[0],
            velocity_mps: [n[1], n[2], n[3]],
            accel_mps2: [n[4], n[5], n[6]],
            yaw_rad: n[7],
            yaw_rate_radps: n[8],
            heading_north_rad: n[9],
            throttle: n[10],
            brake: n[11],
            clutch: n[12],
            steer_rad: n[13],
            rpm: n[14],
            fuel_l: n[15],
            incident_count,
            gear,
            place,
            track_loc,
            ..CarFrame::default()
        },
    )
}

/// A question, as an address with `{session}` in it.
#[derive(Clone, Debug)]
pub(crate) struct Question(String);

impl Question {
    pub(crate) fn path(&self, session: SessionId) -> String {
        self.0.replace("{session}", &session.to_string())
    }
}

/// A question about lap 1, or about laps 1 and 2.
pub(crate) fn question() -> impl Strategy<Value = Question> {
    let whole =
        || prop_oneof![2 => Just("1".to_owned()), 1 => (1u32..60_000).prop_map(|n| n.to_string()), 1 => any::<i64>().prop_map(|n| n.to_string())];
    let number = || {
        prop_oneof![
            2 => Just("0.5".to_owned()),
            2 => (0.5..1_000.0).prop_map(|n: f64| n.to_string()),
            1 => any::<f64>().prop_map(|n| format!("{n:e}")),
            1 => proptest::sample::select(vec!["NaN", "inf", "-inf", "0", "-1", "1e-300", "1e999"]).prop_map(str::to_owned),
        ]
    };
    let channels = || vec(proptest::sample::select(&CHANNELS[..]), 1..300).prop_map(|names| names.join(","));
    let parameter = |name: &'static str, value: BoxedStrategy<String>| value.prop_map(move |value| format!("{name}={value}")).boxed();
    let of_trace = prop_oneof![parameter("limit", whole().boxed()), parameter("channels", channels().boxed()),];
    let grid = prop_oneof![
        parameter("by=time&step_ms", whole().boxed()),
        parameter("by=distance&step_m", number().boxed()),
        Just("by=time".to_owned()).boxed(),
        Just("by=distance".to_owned()).boxed(),
        Just(String::new()).boxed(),
    ];
    const LAPS: &str = "a={session}/max/1&b={session}/max/2";
    const LAP: &str = "/api/v1/sessions/{session}/laps/max/1";
    prop_oneof![
        4 => (grid, proptest::option::of(of_trace)).prop_map(|(grid, more)| format!("{LAP}/trace?{grid}&{}", more.unwrap_or_default())),
        2 => (number(), channels()).prop_map(|(step_m, channels)| format!("/api/v1/compare?{LAPS}&step_m={step_m}&channels={channels}")),
        1 => Just(format!("/api/v1/compare.svg?{LAPS}")),
        1 => Just(format!("{LAP}/map.svg")),
        1 => any::<i64>().prop_map(|at_us| format!("/api/v1/sessions/{{session}}/order?at_us={at_us}")),
        1 => proptest::sample::select(vec!["", "/laps", "/order", "/results", "/stints", "/entries"]).prop_map(|list| format!("/api/v1/sessions/{{session}}{list}")),
    ]
    .prop_map(Question)
}
