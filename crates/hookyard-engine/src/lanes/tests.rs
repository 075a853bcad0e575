use std::num::NonZeroU16;

use hookyard_model::{
    Delivery, DeliveryKey, DeliveryState, EndpointSettings, EndpointStatus, Incarnation, Rate, Seq, Trigger,
};
use hookyard_ports::testkit::build;

use super::claims::Left;
use super::*;

mod laws;

const NOW: Timestamp = build::NOW;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn small(slots: usize) -> Lanes {
    Lanes::new(&Settings { slots, ..Settings::default() })
}

fn endpoint(n: u64, change: impl FnOnce(&mut EndpointSettings)) -> Endpoint {
    let mut endpoint = build::endpoint(n);
    change(Arc::make_mut(&mut endpoint.settings));
    endpoint
}

fn plain(n: u64) -> Endpoint {
    endpoint(n, |_| {})
}

fn prepared(endpoint: &Endpoint) -> Arc<Prepared> {
    Arc::new(Prepared::new(Arc::new(endpoint.clone()), &Settings::default()))
}

fn handed(message: u64, endpoint: &Endpoint) -> Handed {
    Handed {
        delivery: Delivery {
            key: DeliveryKey { message: build::message_id(message), endpoint: endpoint.id },
            application: endpoint.application,
            seq: Seq(message),
            state: DeliveryState::Leased { holder: Incarnation(1), due: NOW },
            order_key: None,
            charged: 0,
            round: 0,
            variant: 0,
            trigger: Trigger::Scheduled,
        },
        message: Arc::new(build::message(1)),
    }
}

fn bytes() -> usize {
    build::message(1).payload.len()
}

/// Reserves and enqueues one delivery; false when there was no room.
fn offer(lanes: &mut Lanes, message: u64, endpoint: &Endpoint, now: Duration) -> bool {
    let taken = lanes.try_reserve(endpoint, bytes(), NOW, now, || prepared(endpoint));
    if taken {
        assert!(lanes.enqueue(handed(message, endpoint)).is_none(), "an enabled lane keeps what it reserved");
    }
    taken
}

fn end(lanes: &mut Lanes, start: &Start, took: Duration, now: Duration, health: Health) {
    let endpoint = start.handed.delivery.key.endpoint;
    lanes.ended(Ended { endpoint, token: start.token, took, health }, now);
    lanes.settled(endpoint, start.token, bytes(), None);
}

/// Proves that the endpoint answers, so that its lane runs at full concurrency.
fn prove(lanes: &mut Lanes, endpoint: &Endpoint, now: Duration) {
    assert!(offer(lanes, 0, endpoint, now));
    let start = trickled(lanes, now).pop().expect("a turn");
    end(lanes, &start, Duration::from_millis(1), now, Health::Good);
}

fn starts(lanes: &mut Lanes, now: Duration) -> Vec<Start> {
    std::iter::from_fn(|| lanes.start(now)).collect()
}

/// What begins from `now` on while time passes for lanes that are slow or not known, and for nothing else.
fn trickled(lanes: &mut Lanes, now: Duration) -> Vec<Start> {
    let mut begun = starts(lanes, now);
    while let Some(at) = lanes.board.trickles {
        lanes.tick(at);
        begun.extend(starts(lanes, at));
    }
    begun
}

#[test]
fn lanes_take_turns() {
    let mut lanes = small(100);
    let [first, second] = [plain(1), plain(2)];
    prove(&mut lanes, &first, seconds(0));
    prove(&mut lanes, &second, seconds(0));
    for message in 1..=3 {
        offer(&mut lanes, message, &first, seconds(0));
    }
    for message in 1..=3 {
        offer(&mut lanes, message, &second, seconds(0));
    }
    let order: Vec<EndpointId> =
        starts(&mut lanes, seconds(0)).iter().map(|start| start.handed.delivery.key.endpoint).collect();
    assert_eq!(order, [first.id, second.id, first.id, second.id, first.id, second.id]);
}

#[test]
fn a_lane_that_has_not_answered_yet_gets_one_attempt_at_a_time() {
    let mut lanes = small(100);
    let endpoint = plain(1);
    for message in 1..=5 {
        offer(&mut lanes, message, &endpoint, seconds(0));
    }
    let first = starts(&mut lanes, seconds(0));
    assert_eq!(first.len(), 1);
    end(&mut lanes, &first[0], Duration::from_millis(2), seconds(0), Health::Good);
    assert_eq!(starts(&mut lanes, seconds(0)).len(), 4);
}

#[test]
fn concurrency_bounds_what_is_in_flight() {
    let mut lanes = small(100);
    let endpoint = endpoint(1, |settings| settings.concurrency = std::num::NonZeroU16::new(2));
    prove(&mut lanes, &endpoint, seconds(0));
    for message in 1..=5 {
        offer(&mut lanes, message, &endpoint, seconds(0));
    }
    assert_eq!(starts(&mut lanes, seconds(0)).len(), 2);
}

#[test]
fn a_burst_of_lanes_that_hang_leaves_a_lane_that_answers_its_slots() {
    let mut lanes = small(8);
    let healthy = plain(99);
    prove(&mut lanes, &healthy, seconds(0));
    let mut now = seconds(0);
    for n in 1..=40 {
        offer(&mut lanes, 1, &plain(n), now);
    }
    assert_eq!(trickled(&mut lanes, now).len(), 8, "lanes that never answered have as many slots as the fast ones");
    while now < seconds(20) {
        assert!(offer(&mut lanes, now.as_secs(), &healthy, now));
        let begun = starts(&mut lanes, now);
        let ours = begun.iter().find(|start| start.handed.delivery.key.endpoint == healthy.id);
        end(&mut lanes, ours.expect("a slot at once"), Duration::from_millis(1), now, Health::Good);
        now += seconds(1);
        lanes.tick(now);
    }
    assert_eq!(lanes.census().slow, 40);
}

#[test]
fn lanes_that_may_lead_nowhere_begin_little_by_little() {
    let mut lanes = Lanes::new(&Settings::default());
    let healthy = plain(2_000);
    prove(&mut lanes, &healthy, seconds(0));
    for n in 0..1_000 {
        offer(&mut lanes, 1, &plain(n), seconds(1));
    }
    offer(&mut lanes, 1, &healthy, seconds(1));
    let at_once = starts(&mut lanes, seconds(1));
    assert_eq!(at_once.len(), 1 + usize::try_from(limits::TRICKLE_AT_ONCE).expect("small"));
    assert!(at_once.iter().any(|start| start.handed.delivery.key.endpoint == healthy.id), "who answers does not wait");
    assert!(lanes.wants_tick(), "somebody must let time pass for the others");
    assert_eq!(lanes.tick(seconds(1)).0, lanes.board.trickles);
    let mut now = seconds(1);
    let mut begun = at_once.len() - 1;
    while begun < 1_000 {
        now += Duration::from_millis(1);
        lanes.tick(now);
        let more = starts(&mut lanes, now).len();
        assert!(more <= 2, "{more} began together");
        begun += more;
    }
    assert!(now < seconds(2), "a thousand wait for less than a second");
}

#[test]
fn a_lane_that_waits_for_its_rate_does_not_hide_one_that_hangs() {
    let mut lanes = small(8);
    let hourly = endpoint(1, |settings| settings.rate_limit = Some("1/h".parse().expect("a rate")));
    prove(&mut lanes, &hourly, seconds(0));
    offer(&mut lanes, 1, &hourly, seconds(0));
    assert!(lanes.start(seconds(0)).is_none());
    assert!(lanes.wants_tick(), "it waits for its rate");
    assert_eq!(lanes.tick(seconds(0)).0, Some(seconds(3_600)));
    offer(&mut lanes, 1, &plain(2), seconds(5));
    assert!(lanes.start(seconds(5)).is_some());
    assert!(lanes.wants_tick(), "an hour is too long for what may hang");
    assert!(lanes.tick(seconds(5)).0.is_some_and(|next| next <= seconds(6)));
    assert!(!lanes.wants_tick(), "it is told once");
}

#[test]
fn a_lane_that_turns_fast_does_not_wait_among_the_slow() {
    let mut lanes = small(8);
    let healed = endpoint(1, |settings| settings.concurrency = NonZeroU16::new(2));
    prove(&mut lanes, &healed, seconds(0));
    for message in 1..=3 {
        offer(&mut lanes, message, &healed, seconds(0));
    }
    let dragging = starts(&mut lanes, seconds(0));
    assert_eq!(dragging.len(), 2);
    lanes.tick(seconds(2));
    for start in &dragging {
        end(&mut lanes, start, seconds(2), seconds(2), Health::Neutral);
    }
    let healing = lanes.start(seconds(2)).expect("a turn");
    assert_eq!(lanes.census().slow, 1);
    for n in 2..=9 {
        offer(&mut lanes, 1, &Endpoint { failing_since: Some(NOW), ..plain(n) }, seconds(2));
    }
    assert_eq!(trickled(&mut lanes, seconds(2)).len(), 3, "the share of the slow is taken");
    for message in 4..=5 {
        offer(&mut lanes, message, &healed, seconds(2));
    }
    end(&mut lanes, &healing, Duration::from_millis(3), seconds(2), Health::Good);
    let next = lanes.start(seconds(2)).expect("a turn");
    assert_eq!(next.handed.delivery.key.endpoint, healed.id);
}

#[test]
fn slow_lanes_together_hold_half_of_the_slots() {
    let mut lanes = small(8);
    let failing: Vec<Endpoint> = (1..=20).map(|n| Endpoint { failing_since: Some(NOW), ..plain(n) }).collect();
    for endpoint in &failing {
        offer(&mut lanes, 1, endpoint, seconds(0));
    }
    assert_eq!(trickled(&mut lanes, seconds(0)).len(), 4, "an endpoint that was failing is slow from the start");
    let healthy = plain(99);
    prove(&mut lanes, &healthy, seconds(0));
    for message in 1..=9 {
        offer(&mut lanes, message, &healthy, seconds(0));
    }
    assert_eq!(starts(&mut lanes, seconds(0)).len(), 4);
}

#[test]
fn a_lane_that_answers_again_is_fast_again() {
    let mut lanes = small(8);
    let endpoint = Endpoint { failing_since: Some(NOW), ..plain(1) };
    offer(&mut lanes, 1, &endpoint, seconds(0));
    let start = lanes.start(seconds(0)).expect("a turn");
    assert_eq!(lanes.census().slow, 1);
    end(&mut lanes, &start, Duration::from_millis(3), seconds(0), Health::Good);
    assert_eq!(lanes.census().slow, 0);
}

#[test]
fn a_rate_limit_spreads_attempts_out() {
    let mut lanes = small(8);
    let rate: Rate = "2/s".parse().expect("a rate");
    let endpoint = endpoint(1, |settings| settings.rate_limit = Some(rate));
    prove(&mut lanes, &endpoint, seconds(0));
    for message in 1..=4 {
        offer(&mut lanes, message, &endpoint, seconds(0));
    }
    let mut begun = 1 + starts(&mut lanes, seconds(0)).len();
    let mut now = seconds(0);
    while begun < 5 {
        now = lanes.tick(now).0.expect("it waits for its rate").max(now + Duration::from_millis(1));
        lanes.tick(now);
        begun += starts(&mut lanes, now).len();
        let allowed = 2 + now.as_millis() / 500;
        assert!(begun as u128 <= allowed, "{begun} attempts after {now:?}");
        assert!(now < seconds(10), "the rate never allowed another attempt");
    }
}

fn offers(lanes: &mut Lanes, endpoint: &Endpoint) -> usize {
    (0..10_000).take_while(|message| offer(lanes, *message, endpoint, seconds(0))).count()
}

#[test]
fn memory_is_bounded_in_number_and_in_bytes() {
    let mut lanes = small(8);
    let endpoint = plain(1);
    prove(&mut lanes, &endpoint, seconds(0));
    assert_eq!(offers(&mut lanes, &endpoint), limits::LANE_ROOM);

    let limit = 80;
    let mut lanes = Lanes::new(&Settings { lane_bytes: limit * cost(bytes()), ..Settings::default() });
    let taken: Vec<usize> = (1..=8).map(|n| offers(&mut lanes, &plain(n))).collect();
    let (lane, fresh) = (limit / limits::LANE_BYTES_SHARE, limit - limit / limits::CLAIM_BYTES_SHARE);
    assert_eq!(taken, [lane, lane, lane, lane, lane, lane, 0, 0], "the rest is left to claims");
    assert_eq!(taken.iter().sum::<usize>(), fresh);
}

#[test]
fn a_lane_that_has_not_answered_yet_holds_little() {
    let mut lanes = small(8);
    assert_eq!(offers(&mut lanes, &plain(1)), 2 * usize::from(limits::LANE_CONCURRENCY));
}

#[test]
fn reserved_room_that_is_not_used_is_free_again() {
    let mut lanes = Lanes::new(&Settings { lane_bytes: 2 * cost(bytes()), ..Settings::default() });
    let endpoint = plain(1);
    for _ in 0..3 {
        assert!(lanes.try_reserve(&endpoint, bytes(), NOW, seconds(0), || prepared(&endpoint)));
        assert_eq!(lanes.unfinished(), 1, "a stop waits for what an accept may lease");
        assert!(!lanes.try_reserve(&endpoint, bytes(), NOW, seconds(0), || prepared(&endpoint)));
        lanes.unreserve(endpoint.id, bytes());
    }
}

#[test]
fn lanes_that_turn_slow_keep_no_more_than_their_share_of_the_memory() {
    let limit = 80;
    let mut lanes = Lanes::new(&Settings { lane_bytes: limit * cost(bytes()), ..Settings::default() });
    let alone = |n| endpoint(n, |settings| settings.concurrency = NonZeroU16::new(1));
    let endpoints: Vec<Endpoint> = (1..=6).map(alone).collect();
    for endpoint in &endpoints {
        prove(&mut lanes, endpoint, seconds(0));
    }
    for endpoint in &endpoints {
        assert_eq!(offers(&mut lanes, endpoint), 10);
    }
    assert_eq!(starts(&mut lanes, seconds(0)).len(), 6);
    let (_, relieved) = lanes.tick(limits::SLOW_AFTER);
    assert_eq!(lanes.census().slow, 6);
    assert_eq!(relieved.len(), 60 - limit / limits::SLOW_SHARE);
    assert_eq!(lanes.census().bytes, limit / limits::SLOW_SHARE * cost(bytes()));
    assert!(!offer(&mut lanes, 1, &endpoints[0], limits::SLOW_AFTER), "nor do they get more");
    assert!(offer(&mut lanes, 1, &plain(7), limits::SLOW_AFTER), "the rest is for others");
}

#[test]
fn slow_lanes_with_their_share_do_not_stand_before_others_that_claim() {
    let limit = 4 * limits::API_BODY_BYTES;
    let mut lanes = Lanes::new(&Settings { lane_bytes: limit, ..Settings::default() });
    let slow: Vec<Endpoint> = (1..=4).map(|n| Endpoint { failing_since: Some(NOW), ..plain(n) }).collect();
    let fast = plain(5);
    for endpoint in slow.iter().chain([&fast]) {
        lanes.introduce(endpoint.id, Some(prepared(endpoint)), seconds(0));
    }
    for endpoint in &slow {
        lanes.hint(endpoint.id, NOW);
    }
    lanes.hint(fast.id, build::at(1));
    let claimed: Vec<EndpointId> = lanes.claims(build::at(1)).iter().map(|room| room.endpoint).collect();
    assert_eq!(claimed, [slow[0].id, slow[1].id, fast.id], "half of the memory is what slow ones may ask for");
}

#[test]
fn what_fresh_messages_filled_meanwhile_is_not_claimed_for() {
    let mut lanes = small(8);
    let endpoint = plain(1);
    lanes.introduce(endpoint.id, Some(prepared(&endpoint)), seconds(0));
    lanes.hint(endpoint.id, build::at(1));
    let taken = offers(&mut lanes, &endpoint);
    assert!(lanes.claims(build::at(1)).is_empty(), "there is no room for what it would bring");
    let started = lanes.start(seconds(0)).expect("a turn");
    end(&mut lanes, &started, Duration::from_millis(1), seconds(0), Health::Good);
    assert_eq!(lanes.claims(build::at(1)).len(), 1, "{taken} were in the way");
}

#[test]
fn a_stranger_that_a_fresh_message_makes_known_is_claimed_for_when_due() {
    let mut lanes = small(8);
    let endpoint = plain(1);
    lanes.hint(endpoint.id, build::at(1));
    assert!(offer(&mut lanes, 1, &endpoint, seconds(0)));
    assert_eq!(lanes.next_claim(), Some(build::at(1)));
}

#[test]
fn what_is_ended_is_known_until_it_is_settled() {
    let mut lanes = small(8);
    let endpoint = plain(1);
    offer(&mut lanes, 1, &endpoint, seconds(0));
    let start = lanes.start(seconds(0)).expect("a turn");
    let key = start.handed.delivery.key;
    lanes
        .ended(Ended { endpoint: endpoint.id, token: start.token, took: seconds(0), health: Health::Good }, seconds(0));
    assert!(lanes.keys(key.endpoint).contains(&key));
    lanes.settled(endpoint.id, start.token, bytes(), None);
    assert!(!lanes.keys(key.endpoint).contains(&key));
}

#[test]
fn while_older_ones_wait_in_the_store_half_of_the_room_is_theirs() {
    let mut lanes = small(8);
    let endpoint = plain(1);
    prove(&mut lanes, &endpoint, seconds(0));
    lanes.hint(endpoint.id, NOW);
    assert_eq!(offers(&mut lanes, &endpoint), limits::LANE_ROOM / 2);
    let rooms = lanes.claims(NOW);
    assert_eq!(rooms.len(), 1);
    assert_eq!(rooms[0].count, limits::LANE_ROOM / 2);
}

#[test]
fn a_lane_whose_receiver_fails_holds_little() {
    let mut lanes = small(8);
    let endpoint = Endpoint { failing_since: Some(NOW), ..plain(1) };
    assert_eq!(offers(&mut lanes, &endpoint), 2);
}

#[test]
fn a_claim_that_brings_nothing_is_not_repeated_until_something_is_settled() {
    let mut lanes = small(8);
    let endpoint = plain(1);
    lanes.introduce(endpoint.id, Some(prepared(&endpoint)), seconds(0));
    lanes.hint(endpoint.id, NOW);
    let [room] = lanes.claims(NOW)[..] else { panic!("one lane has something due") };
    lanes.claimed(room, vec![handed(1, &endpoint)], Left::Known(Some(NOW)), NOW);
    let start = lanes.start(seconds(0)).expect("a turn");
    let [room] = lanes.claims(NOW)[..] else { panic!("more is due") };
    lanes.claimed(room, Vec::new(), Left::Known(Some(NOW)), NOW);
    assert!(lanes.claims(NOW).is_empty(), "what is due is ordered behind what is in flight");
    assert_eq!(lanes.next_claim(), None);
    end(&mut lanes, &start, Duration::from_millis(1), seconds(0), Health::Good);
    assert_eq!(lanes.claims(NOW).len(), 1);
}

#[test]
fn a_settlement_that_overtakes_a_claim_keeps_the_lane_from_stalling() {
    let mut lanes = small(8);
    let endpoint = plain(1);
    lanes.introduce(endpoint.id, Some(prepared(&endpoint)), seconds(0));
    lanes.hint(endpoint.id, NOW);
    let [room] = lanes.claims(NOW)[..] else { panic!("one lane has something due") };
    lanes.claimed(room, vec![handed(1, &endpoint)], Left::Known(Some(NOW)), NOW);
    let start = lanes.start(seconds(0)).expect("a turn");
    let [room] = lanes.claims(NOW)[..] else { panic!("more is due") };
    end(&mut lanes, &start, Duration::from_millis(1), seconds(0), Health::Good);
    lanes.claimed(room, Vec::new(), Left::Known(Some(NOW)), NOW);
    assert_eq!(lanes.claims(NOW).len(), 1, "nobody else will ask for what the settlement freed");
}

#[test]
fn a_stall_behind_a_retry_ends_when_the_retry_is_due() {
    let mut lanes = small(8);
    let endpoint = plain(1);
    lanes.introduce(endpoint.id, Some(prepared(&endpoint)), seconds(0));
    lanes.hint(endpoint.id, NOW);
    let [room] = lanes.claims(NOW)[..] else { panic!("one lane has something due") };
    lanes.claimed(room, vec![handed(1, &endpoint)], Left::Known(Some(NOW)), NOW);
    let start = lanes.start(seconds(0)).expect("a turn");
    lanes.ended(Ended { endpoint: endpoint.id, token: start.token, took: seconds(0), health: Health::Bad }, seconds(0));
    lanes.settled(endpoint.id, start.token, bytes(), Some(build::at(30)));
    let [room] = lanes.claims(NOW)[..] else { panic!("the settlement may have freed others") };
    lanes.claimed(room, Vec::new(), Left::Known(Some(NOW)), NOW);
    assert_eq!(lanes.next_claim(), Some(build::at(30)));
}

#[test]
fn what_is_hinted_during_a_claim_is_not_forgotten() {
    let mut lanes = small(8);
    let endpoint = plain(1);
    lanes.introduce(endpoint.id, Some(prepared(&endpoint)), seconds(0));
    lanes.hint(endpoint.id, NOW);
    let [room] = lanes.claims(NOW)[..] else { panic!("one lane has something due") };
    lanes.hint(endpoint.id, NOW);
    lanes.claimed(room, Vec::new(), Left::Known(None), NOW);
    assert_eq!(lanes.claims(NOW).len(), 1);
}

#[test]
fn a_failed_claim_is_tried_again() {
    let mut lanes = small(8);
    let endpoint = plain(1);
    lanes.introduce(endpoint.id, Some(prepared(&endpoint)), seconds(0));
    lanes.hint(endpoint.id, NOW);
    let [room] = lanes.claims(NOW)[..] else { panic!("one lane has something due") };
    lanes.claimed(room, Vec::new(), Left::Unknown, NOW);
    assert_eq!(lanes.claims(NOW).len(), 1);
}

#[test]
fn an_endpoint_that_was_disabled_gives_back_what_it_holds_and_takes_nothing() {
    let mut lanes = small(8);
    let endpoint = plain(1);
    offer(&mut lanes, 1, &endpoint, seconds(0));
    assert!(lanes.try_reserve(&endpoint, bytes(), NOW, seconds(0), || prepared(&endpoint)));
    let status = EndpointStatus::Disabled { since: NOW, reason: hookyard_model::DisableReason::Manual };
    let off = Endpoint { status, revision: hookyard_model::Revision(9), ..endpoint.clone() };
    lanes.introduce(endpoint.id, Some(prepared(&off)), seconds(0));
    assert_eq!(lanes.drain(endpoint.id).len(), 1);
    assert!(lanes.enqueue(handed(2, &endpoint)).is_some(), "what was reserved before comes back");
    assert!(!offer(&mut lanes, 3, &endpoint, seconds(0)));
    assert_eq!(lanes.census().bytes, 0);
    assert!(lanes.start(seconds(0)).is_none());
}

#[test]
fn a_form_that_was_read_late_does_not_replace_a_newer_one() {
    let mut lanes = small(8);
    let status = EndpointStatus::Disabled { since: NOW, reason: hookyard_model::DisableReason::Manual };
    let (on, off) = (plain(1), Endpoint { status, revision: hookyard_model::Revision(9), ..plain(1) });
    assert!(lanes.introduce(on.id, Some(prepared(&on)), seconds(0)));
    assert!(!lanes.introduce(on.id, Some(prepared(&off)), seconds(0)));
    assert!(!lanes.introduce(on.id, Some(prepared(&on)), seconds(0)));
    assert!(!offer(&mut lanes, 1, &on, seconds(0)));
}

#[test]
fn nothing_begins_while_the_store_is_far_behind() {
    let mut lanes = small(limits::UNSETTLED * 2);
    let endpoints: Vec<Endpoint> = (0..=limits::UNSETTLED as u64).map(plain).collect();
    let mut ended = Vec::new();
    let mut now = seconds(0);
    for endpoint in &endpoints {
        now += limits::TRICKLE;
        offer(&mut lanes, 1, endpoint, now);
        if let Some(start) = lanes.start(now) {
            let endpoint = start.handed.delivery.key.endpoint;
            lanes.ended(Ended { endpoint, token: start.token, took: seconds(0), health: Health::Good }, now);
            ended.push((endpoint, start.token));
        }
    }
    assert_eq!(lanes.unfinished(), limits::UNSETTLED);
    assert!(lanes.start(now).is_none());
    let (endpoint, token) = ended[0];
    lanes.settled(endpoint, token, bytes(), None);
    assert!(lanes.start(now).is_some());
}

#[test]
fn an_idle_lane_is_forgotten_after_a_while() {
    let mut lanes = small(8);
    let endpoint = plain(1);
    prove(&mut lanes, &endpoint, seconds(0));
    assert!(lanes.forget_idle(seconds(1)).is_empty());
    assert_eq!(lanes.forget_idle(limits::LANE_IDLE), [endpoint.id]);
    assert_eq!(lanes.census().lanes, 0);
}
