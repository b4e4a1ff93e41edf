//! Names, numbers and classes of drivers who join late or are described by several clients.

use crate::asked::case;

#[test]
fn a_late_joiner_has_a_name_a_number_and_a_class() {
    let Some(asked) = case("late_joiner", &[("s58_late_joiner_alpha", "alpha"), ("s58_late_joiner_gamma", "gamma")]) else { return };
    let gamma = asked.result("gamma");
    assert_eq!(
        (&gamma["driver_name"], &gamma["car_number"], &gamma["class_name"]),
        (&"Driver Gamma".into(), &"9".into(), &"C2".into()),
        "{gamma:#?}"
    );
    let session = asked.of_session("");
    let entry =
        session["entries"].as_array().unwrap().iter().find(|e| e["driver_name"] == "Driver Gamma").unwrap_or_else(|| panic!("{session:#?}")).clone();
    assert_eq!(entry["number"], "9");
}

#[test]
fn one_drivers_broken_description_costs_no_other_driver_a_name() {
    let Some(asked) = case("newline_of_one_driver", &[("s3b_alpha", "alpha"), ("s3b_beta", "beta")]) else { return };
    let beta = asked.result("beta");
    assert_eq!((&beta["driver_name"], &beta["class_position"]), (&"Driver Beta".into(), &1.into()), "{beta:#?}");
}

#[test]
fn a_car_that_two_drivers_claim_says_so() {
    let Some(asked) = case("one_car_of_two_drivers", &[("s3_setup_plain", "alpha"), ("s3_setup_plain", "beta")]) else { return };
    for entry in ["alpha", "beta"] {
        assert_eq!(asked.result(entry)["claimed_by"], serde_json::json!(["alpha", "beta"]));
    }
    let Some(asked) = case("one_car_of_two_drivers", &[("s3_setup_plain", "alpha")]) else { return };
    assert_eq!(asked.result("alpha")["claimed_by"], serde_json::json!([]));
}
