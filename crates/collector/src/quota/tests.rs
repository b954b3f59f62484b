//! The accounts against a marketplace that counts each request at the worst moment: nothing is ever refused, little is left idle.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::America::Los_Angeles;
use proptest::prelude::*;

use super::account::{Account, Statement, Turn};
use super::window::{Micros, Now};
use crate::limits::{Renewal, Window};

const SECOND: Micros = 1_000_000;
const AHEAD: Micros = SECOND / 2;

/// A marketplace with exact counts.
enum Marketplace {
    Bucket { per_second: f64, burst: f64, fill: f64, at: Micros },
    Sliding { requests: usize, period: Micros, accepted: Vec<Micros> },
    Fixed { requests: u32, renewal: Renewal, skew: Micros, used: BTreeMap<Micros, u32> },
}

impl Marketplace {
    fn new(window: Window, at: Micros, skew: Micros) -> Marketplace {
        match window {
            Window::Bucket { per_second, burst } => {
                Marketplace::Bucket { per_second, burst: f64::from(burst), fill: 0.0, at }
            }
            Window::Sliding { requests, period } => Marketplace::Sliding {
                requests: requests as usize,
                period: period.as_micros() as Micros,
                accepted: Vec::new(),
            },
            Window::Fixed { requests, renewal } => {
                Marketplace::Fixed { requests, renewal, skew, used: BTreeMap::new() }
            }
        }
    }

    fn accepts(&mut self, now: Micros) -> bool {
        match self {
            Marketplace::Bucket { per_second, burst, fill, at } => {
                *fill = (*fill - (now - *at) as f64 * *per_second / 1e6).max(0.0);
                *at = now;
                *fill += 1.0;
                *fill <= *burst + 1e-9
            }
            Marketplace::Sliding { requests, period, accepted } => {
                accepted.retain(|earlier| *earlier > now - *period);
                accepted.push(now);
                accepted.len() <= *requests
            }
            Marketplace::Fixed { requests, renewal, skew, used } => {
                let theirs = now + *skew;
                let day = match renewal {
                    Renewal::Every(period) => theirs.div_euclid(period.as_micros() as Micros),
                    Renewal::Midnight(zone) => {
                        let moment: DateTime<Utc> = DateTime::from_timestamp_micros(theirs).unwrap();
                        let date = moment.with_timezone(zone).date_naive();
                        i64::from(chrono::Datelike::num_days_from_ce(&date))
                    }
                };
                let used = used.entry(day).or_default();
                *used += 1;
                *used <= *requests
            }
        }
    }
}

/// One worker's doing with a permit.
#[derive(Clone, Debug)]
struct Doing {
    /// Time before it asks.
    rest: Micros,
    /// From its moment to the marketplace.
    way_there: Micros,
    /// From the marketplace back.
    way_back: Micros,
    /// It dies on the way; the permit expires after this time.
    dies: Option<Micros>,
    /// It gives the permit back unused.
    returns: bool,
}

fn doing(scale: Micros) -> impl Strategy<Value = Doing> {
    (0..=scale, 0..=scale, 0..=scale, prop::option::weighted(0.1, 1..=3 * scale), prop::bool::weighted(0.05))
        .prop_map(|(rest, way_there, way_back, dies, returns)| Doing { rest, way_there, way_back, dies, returns })
}

#[derive(Debug)]
enum Event {
    Arrives,
    Ends { sent: Micros, counts: bool },
}

/// Plays doings against account and marketplace; returns how many requests arrived, or the moment of a refusal.
fn play(
    window: Window,
    start: Micros,
    skew: Micros,
    doings: &[Doing],
    statements: &[Statement],
) -> Result<u32, Micros> {
    let mut account = Account::new(&[window]);
    let mut marketplace = Marketplace::new(window, start, skew);
    let mut events: BTreeMap<(Micros, usize, u8), Event> = BTreeMap::new();
    let (mut now, mut open, mut arrived) = (start, 0u32, 0u32);
    let mut handle = |account: &mut Account, open: &mut u32, at: Micros, event: Event| match event {
        Event::Arrives => {
            arrived += 1;
            if marketplace.accepts(at) { Ok(()) } else { Err(at) }
        }
        Event::Ends { sent, counts } => {
            *open -= 1;
            if counts {
                account.count(Now::same(sent), Now::same(at), Now::same(at));
            }
            Ok(())
        }
    };
    for (number, doing) in doings.iter().enumerate() {
        now += doing.rest;
        while let Some(entry) = events.first_entry().filter(|entry| entry.key().0 <= now) {
            let at = entry.key().0;
            handle(&mut account, &mut open, at, entry.remove())?;
        }
        if let Some(statement) = statements.get(number) {
            account.learn(&[*statement], true, open, Now::same(now));
        }
        let Turn::In(wait) = account.turn(Now::same(now), open) else { continue };
        if wait > AHEAD {
            continue;
        }
        open += 1;
        let send_at = now + wait;
        let arrives = send_at + doing.way_there;
        let over = match doing.dies {
            Some(expires) => arrives + expires,
            None => arrives + doing.way_back,
        };
        if !doing.returns {
            events.insert((arrives, number, 0), Event::Arrives);
        }
        events.insert((over, number, 1), Event::Ends { sent: send_at, counts: !doing.returns });
    }
    for ((at, ..), event) in events {
        handle(&mut account, &mut open, at, event)?;
    }
    Ok(arrived)
}

fn at(text: &str) -> Micros {
    text.parse::<DateTime<Utc>>().unwrap().timestamp_micros()
}

proptest! {
    #[test]
    fn no_bucket_ever_overflows(
        per_second in 0.05f64..20.0,
        burst in 1u32..12,
        doings in prop::collection::vec(doing(SECOND), 1..300),
    ) {
        prop_assert_eq!(play(Window::bucket(per_second, burst), at("2026-03-01T00:00:00Z"), 0, &doings, &[]).err(), None);
    }

    #[test]
    fn no_stretch_of_time_holds_more_than_a_sliding_window_allows(
        requests in 1u32..12,
        period_ms in 100u64..20_000,
        doings in prop::collection::vec(doing(2 * SECOND), 1..300),
    ) {
        let window = Window::sliding(requests, std::time::Duration::from_millis(period_ms));
        prop_assert_eq!(play(window, at("2026-03-01T00:00:00Z"), 0, &doings, &[]).err(), None);
    }

    #[test]
    fn no_day_ever_holds_more_than_its_quota_wherever_the_clock_is_changed(
        requests in 1u32..40,
        start in prop::sample::select(vec!["2026-03-07T20:00:00Z", "2026-03-08T06:00:00Z", "2026-10-31T20:00:00Z", "2026-11-01T05:00:00Z"]),
        skew_ms in -1_900i64..1_900,
        doings in prop::collection::vec(doing(1_800 * SECOND), 1..300),
    ) {
        let window = Window::day(requests, Los_Angeles);
        prop_assert_eq!(play(window, at(start), skew_ms * 1_000, &doings, &[]).err(), None);
    }

    #[test]
    fn no_minute_of_the_clock_ever_holds_more_than_its_quota(
        requests in 1u32..40,
        skew_ms in -290i64..290,
        doings in prop::collection::vec(doing(3 * SECOND), 1..300),
    ) {
        let renewal = Renewal::Every(std::time::Duration::from_secs(60));
        let window = Window::Fixed { requests, renewal };
        prop_assert_eq!(play(window, at("2026-03-01T00:00:00Z"), skew_ms * 1_000, &doings, &[]).err(), None);
    }

    #[test]
    fn lower_limits_that_come_and_go_let_nothing_through_that_the_contract_forbids(
        rates in prop::collection::vec(0.1f64..50.0, 300),
        doings in prop::collection::vec(doing(SECOND), 1..300),
    ) {
        let statements: Vec<Statement> = rates.into_iter().map(Statement::Rate).collect();
        prop_assert_eq!(play(Window::bucket(2.0, 4), at("2026-03-01T00:00:00Z"), 0, &doings, &statements).err(), None);
    }
}

/// Asks as fast as it may for ten minutes, each request taking `latency`, and returns how many were sent.
fn busy(window: Window, start: Micros, latency: Micros) -> f64 {
    let mut account = Account::new(&[window]);
    let mut under_way: Vec<(Micros, Micros)> = Vec::new();
    let (mut now, mut sent) = (start, 0u32);
    while now < start + 600 * SECOND {
        under_way.retain(|(send_at, over)| {
            if *over <= now {
                account.count(Now::same(*send_at), Now::same(*over), Now::same(now));
            }
            *over > now
        });
        match account.turn(Now::same(now), under_way.len() as u32) {
            Turn::In(wait) if wait <= AHEAD => {
                sent += 1;
                under_way.push((now + wait, now + wait + latency));
            }
            _ => now += SECOND / 1_000,
        }
    }
    f64::from(sent)
}

#[test]
fn hardly_anything_is_left_idle() {
    let start = at("2026-03-01T00:00:00Z");
    let minute = Renewal::Every(std::time::Duration::from_secs(60));
    for (window, allowed) in [
        (Window::bucket(2.0, 2), 2.0 * 600.0),
        (Window::bucket(10.0, 2), 10.0 * 600.0),
        (Window::bucket(0.0167, 15), 15.0 + 0.0167 * 600.0),
        (Window::sliding(10, std::time::Duration::from_secs(1)), 10.0 * 600.0),
        (Window::sliding(300, std::time::Duration::from_secs(60)), 300.0 * 10.0),
        (Window::Fixed { requests: 250, renewal: minute }, 250.0 * 10.0),
    ] {
        let used = busy(window, start, 5_000) / allowed;
        assert!(used > 0.98, "{window}: {used}");
    }
}

#[test]
fn a_day_is_renewed_at_midnight_in_california_on_both_days_on_which_the_clock_changes() {
    for (used_up_at, renewed_at) in [
        ("2026-03-08T20:00:00Z", "2026-03-09T07:00:00Z"),
        ("2026-03-07T20:00:00Z", "2026-03-08T08:00:00Z"),
        ("2026-11-01T20:00:00Z", "2026-11-02T08:00:00Z"),
        ("2026-10-31T20:00:00Z", "2026-11-01T07:00:00Z"),
    ] {
        let now = Now::same(at(used_up_at));
        let mut account = Account::new(&[Window::day(1, Los_Angeles)]);
        account.count(now, now, now);
        let Turn::In(wait) = account.turn(now, 0) else { panic!("nothing is open") };
        let free_at = now.real + wait;
        assert!((0..=3 * SECOND).contains(&(free_at - at(renewed_at))), "{used_up_at}");
        assert_eq!(account.turn(Now::same(free_at), 0), Turn::In(0));
    }
}

#[test]
fn limits_sink_at_once_and_rise_beyond_the_contract_only_by_the_marketplaces_word() {
    let now = Now::same(at("2026-03-01T00:00:00Z"));
    let mut account = Account::new(&[Window::bucket(2.0, 2)]);
    account.learn(&[Statement::Rate(0.5)], false, 0, now);
    assert_eq!(account.windows[0].in_force, Window::bucket(0.5, 2));
    account.learn(&[Statement::Rate(f64::NAN), Statement::Rate(-1.0)], false, 0, now);
    assert_eq!(account.windows[0].in_force, Window::bucket(0.5, 2));
    account.learn(&[Statement::Rate(5.0)], true, 0, now);
    assert_eq!(account.windows[0].in_force, Window::bucket(2.0, 2), "an operator's limit is not exceeded");
    account.learn(&[Statement::Rate(5.0)], false, 0, now);
    assert_eq!(account.windows[0].in_force, Window::bucket(5.0, 2));
}

#[test]
fn requests_of_others_who_share_the_credential_count() {
    let now = Now::same(at("2026-03-01T12:00:00Z"));
    let day = std::time::Duration::from_secs(86_400);
    let mut account = Account::new(&[Window::sliding(100, day)]);
    let statement = Statement::Sliding { period: day, requests: 100, remaining: Some(3) };
    account.learn(&[statement], false, 1, now);
    assert_eq!(account.windows[0].left(now, 1).0, 3);
    let later = Now::same(now.real + 86_400 * SECOND / 2);
    assert_eq!(account.windows[0].left(later, 0).0, 4);
    let mut pacific = Account::new(&[Window::day(100, Los_Angeles)]);
    pacific.learn(&[Statement::Fixed { requests: 100, remaining: 0 }], false, 0, now);
    assert!(matches!(pacific.turn(now, 0), Turn::In(wait) if wait > 3_600 * SECOND));
}

#[test]
fn trouble_slows_down_and_quiet_speeds_up() {
    let start = Now::same(at("2026-03-01T12:00:00Z"));
    let mut account = Account::new(&[Window::bucket(10.0, 1)]);
    account.slow_down(start);
    account.slow_down(Now::same(start.real + SECOND));
    assert_eq!(account.pace(), 0.5, "one trouble is not counted twice");
    let mut now = start;
    for _ in 0..10 {
        now = Now::same(now.real + 2 * SECOND);
        account.slow_down(now);
    }
    assert_eq!(account.pace(), 0.05);
    for _ in 0..30 {
        now = Now::same(now.real + 10 * SECOND);
        account.speed_up(now);
    }
    assert_eq!(account.pace(), 1.0);
}

#[test]
fn those_who_wait_come_back_one_after_the_other() {
    let now = Now::same(at("2026-03-01T12:00:00Z"));
    let mut account = Account::new(&[Window::bucket(1.0, 1)]);
    account.count(now, now, now);
    let tickets: Vec<Micros> = (0..3).map(|_| account.ticket(SECOND, 0, now)).collect();
    assert_eq!(tickets, [SECOND, SECOND * 7 / 4, SECOND * 10 / 4]);
}

#[test]
fn a_clock_that_goes_back_frees_nothing() {
    let now = Now::same(at("2026-03-02T12:00:00Z"));
    let earlier = Now::same(now.real - 86_400 * SECOND);
    for window in
        [Window::bucket(1.0, 1), Window::sliding(1, std::time::Duration::from_secs(60)), Window::day(1, Los_Angeles)]
    {
        let mut account = Account::new(&[window]);
        account.count(now, now, now);
        assert!(matches!(account.turn(earlier, 0), Turn::In(wait) if wait > 0), "{window}");
    }
}

#[test]
fn limits_that_are_configured_anew_keep_what_is_spent() {
    let now = Now::same(at("2026-03-02T12:00:00Z"));
    let mut account = Account::new(&[Window::day(5, Los_Angeles)]);
    for _ in 0..3 {
        account.count(now, now, now);
    }
    account.configure(&[Window::bucket(2.0, 2), Window::day(4, Los_Angeles)]);
    assert_eq!(account.windows[1].left(now, 0).0, 1);
    let text = serde_json::to_string(&account).unwrap();
    assert_eq!(serde_json::from_str::<Account>(&text).unwrap(), account);
}
