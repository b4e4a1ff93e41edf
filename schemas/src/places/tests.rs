//! What [`Places`] never lets happen, in any order of coming and going.

use proptest::prelude::*;

use super::*;

const CAPS: Caps = Caps { all: 20, reserved: 5, address: 4, net56: 6, net48: 8, driver: 3, tenant: 5 };

fn address() -> impl Strategy<Value = Option<IpAddr>> {
    let v4 = (0u8..5).prop_map(|host| Some(IpAddr::from([10, 0, 0, host])));
    let v6 = (0u16..2, 0u16..3, 0u16..3).prop_map(|(a, b, c)| Some(IpAddr::from([0x2a00, 1, a, b << 8 | c, 0, 0, 0, 9])));
    prop_oneof![3 => v4, 3 => v6, 1 => Just(None)]
}

fn holder(n: u8) -> (TenantId, DriverId) {
    (TenantId::new(&format!("t{}", n % 3)).unwrap(), DriverId::new(&format!("d{}", n / 3)).unwrap())
}

#[derive(Debug, Clone)]
enum Step {
    Take(Option<IpAddr>),
    Name(usize, u8),
    Leave(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => address().prop_map(Step::Take),
        3 => (any::<usize>(), 0u8..12).prop_map(|(i, n)| Step::Name(i, n)),
        1 => any::<usize>().prop_map(Step::Leave),
    ]
}

/// The same counts, by walking over all places that are held.
fn full_by_hand(held: &[Place], address: Option<IpAddr>) -> Option<Full> {
    let from = |bits: u32| {
        let cut = |a: IpAddr| match a {
            IpAddr::V4(a) => u128::from(a.to_bits()),
            IpAddr::V6(a) => a.to_bits() >> (128 - bits),
        };
        held.iter()
            .filter(|p| p.address.is_some_and(|a| Some(a.is_ipv4()) == address.map(|a| a.is_ipv4()) && Some(cut(a)) == address.map(cut)))
            .count()
    };
    let unnamed = held.iter().filter(|p| p.holder.is_none()).count();
    if held.len() >= 20 {
        Some(Full::All)
    } else if unnamed >= 15 {
        Some(Full::Reserved)
    } else if from(64) >= 4 {
        Some(Full::Address)
    } else if address.is_some_and(|a| a.is_ipv6()) && from(56) >= 6 {
        Some(Full::Net56)
    } else if address.is_some_and(|a| a.is_ipv6()) && from(48) >= 8 {
        Some(Full::Net48)
    } else {
        None
    }
}

proptest! {
    /// Whatever comes, is named and leaves: no cap is exceeded, no client is refused below the caps, and nothing stays counted.
    #[test]
    fn caps_hold_and_nothing_is_kept(steps in proptest::collection::vec(step(), 0..200)) {
        let (mut places, mut held) = (Places::new(CAPS), Vec::<Place>::new());
        for step in steps {
            match step {
                Step::Take(address) => {
                    let expected = full_by_hand(&held, address);
                    match places.take(address) {
                        Ok(place) => {
                            prop_assert_eq!(expected, None);
                            held.push(place);
                        }
                        Err(full) => prop_assert_eq!(Some(full), expected),
                    }
                }
                Step::Name(i, n) if !held.is_empty() => {
                    let (i, (tenant, driver)) = (i % held.len(), holder(n));
                    let others = || held.iter().enumerate().filter(|(k, _)| *k != i).filter_map(|(_, p)| p.holder);
                    let of_driver = others().filter(|h| *h == (tenant, driver)).count();
                    let of_tenant = others().filter(|h| h.0 == tenant).count();
                    let same = held[i].holder == Some((tenant, driver));
                    let expected = same || (of_driver < 3 && of_tenant < 5);
                    let before = held[i].holder;
                    let named = places.name(&mut held[i], tenant, driver);
                    prop_assert_eq!(named.is_ok(), expected, "{:?}", named);
                    prop_assert_eq!(held[i].holder, if expected { Some((tenant, driver)) } else { before });
                }
                Step::Leave(i) if !held.is_empty() => places.leave(held.swap_remove(i % held.len())),
                Step::Name(..) | Step::Leave(_) => {}
            }
            prop_assert_eq!(places.taken() as usize, held.len());
            prop_assert_eq!(places.unnamed() as usize, held.iter().filter(|p| p.holder.is_none()).count());
            prop_assert!(places.groups.len() <= 5 * held.len(), "memory is of places that are taken only");
        }
        held.into_iter().for_each(|place| places.leave(place));
        prop_assert!(places.groups.is_empty() && places.taken() == 0 && places.unnamed() == 0);
    }
}

#[test]
fn an_ipv6_host_has_one_place_to_count_by_and_mapped_ipv4_is_ipv4() {
    let groups = |text: &str| Group::of(text.parse().unwrap()).collect::<Vec<_>>();
    assert_eq!(groups("::ffff:192.0.2.1"), groups("192.0.2.1"));
    let (a, b) = (groups("2a00:1:2:3400::1"), groups("2a00:1:2:34ff::1"));
    assert_eq!(a.len(), 3);
    assert_ne!(a[0], b[0], "another /64");
    assert_eq!(a[1..], b[1..], "one /56, one /48");
    assert_ne!(groups("2a00:1:2:3400::1")[1], groups("2a00:1:2:3500::1")[1]);
    assert_eq!(groups("2a00:1:2:3400::1")[2], groups("2a00:1:2:ffff::1")[2]);
}

/// Those without a grant leave places to those with one.
#[test]
fn what_is_reserved_is_for_names() {
    let mut places = Places::new(CAPS);
    let mut held: Vec<_> = (0..15).map(|_| places.take(None).unwrap()).collect();
    assert_eq!(places.take(None), Err(Full::Reserved));
    assert!(places.scarce());
    let (tenant, driver) = holder(0);
    places.name(&mut held[0], tenant, driver).unwrap();
    held.push(places.take(None).unwrap());
    assert_eq!(places.take(None), Err(Full::Reserved));
    held.extend((1..5).map(holder).map(|(tenant, driver)| places.take_named(None, tenant, driver).unwrap()));
    assert_eq!((places.taken(), places.unnamed()), (20, 15));
    let (tenant, driver) = holder(5);
    assert_eq!(places.take_named(None, tenant, driver), Err(Full::All));
    held.into_iter().for_each(|place| places.leave(place));
    assert!(places.groups.is_empty() && places.taken() == 0 && places.unnamed() == 0);
}
