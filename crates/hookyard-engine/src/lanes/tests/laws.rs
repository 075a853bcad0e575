//! What holds of the lanes whatever happens to them.

use proptest::prelude::*;

use super::*;

/// A step of a random life of the lanes.
#[derive(Debug, Clone)]
enum Step {
    Offer(u64),
    Start,
    End { index: usize, slow: bool, good: bool },
    Settle { due: bool },
    Claim { brought: usize },
    Pass(u64),
    Disable(u64),
    Hint(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u64..6).prop_map(Step::Offer),
        4 => Just(Step::Start),
        4 => (0usize..8, any::<bool>(), any::<bool>()).prop_map(|(index, slow, good)| Step::End { index, slow, good }),
        3 => any::<bool>().prop_map(|due| Step::Settle { due }),
        2 => (0usize..3).prop_map(|brought| Step::Claim { brought }),
        2 => (1u64..1_500).prop_map(Step::Pass),
        1 => (1u64..6).prop_map(Step::Disable),
        1 => (1u64..6).prop_map(Step::Hint),
    ]
}

proptest! {
    #[test]
    fn slots_rooms_and_bytes_always_add_up(steps in prop::collection::vec(step(), 1..300)) {
        let mut lanes = Lanes::new(&Settings { slots: 6, lane_bytes: 40 * cost(bytes()), ..Settings::default() });
        let mut now = Duration::ZERO;
        let mut in_flight: Vec<Start> = Vec::new();
        let mut unsettled: Vec<(EndpointId, Token)> = Vec::new();
        let mut message = 0;
        for step in steps {
            message += 1;
            match step {
                Step::Offer(n) => drop(offer(&mut lanes, message, &plain(n), now)),
                Step::Start => in_flight.extend(lanes.start(now)),
                Step::End { index, slow, good } if !in_flight.is_empty() => {
                    let start = in_flight.remove(index % in_flight.len());
                    let endpoint = start.handed.delivery.key.endpoint;
                    let took = if slow { seconds(3) } else { Duration::from_millis(1) };
                    let health = if good { Health::Good } else { Health::Bad };
                    lanes.ended(Ended { endpoint, token: start.token, took, health }, now);
                    unsettled.push((endpoint, start.token));
                }
                Step::Settle { due } => {
                    if let Some((endpoint, token)) = unsettled.pop() {
                        lanes.settled(endpoint, token, bytes(), due.then_some(NOW));
                    }
                }
                Step::Claim { brought } => {
                    for room in lanes.claims(NOW) {
                        let n = (1..6).find(|n| build::endpoint_id(*n) == room.endpoint).expect("one of ours");
                        let rows = (0..brought.min(room.count)).map(|_| handed(message, &plain(n))).collect();
                        drop(lanes.claimed(room, rows, Left::Known(None), NOW));
                    }
                }
                Step::Pass(millis) => {
                    now += Duration::from_millis(millis);
                    drop(lanes.tick(now));
                }
                Step::Hint(n) => lanes.hint(build::endpoint_id(n), NOW),
                Step::Disable(n) => drop(lanes.drain(build::endpoint_id(n))),
                Step::End { .. } => {}
            }
            let census = lanes.census();
            prop_assert_eq!(census.in_flight, in_flight.len());
            prop_assert_eq!(lanes.unfinished(), in_flight.len() + unsettled.len());
            let queued: usize = lanes.by_endpoint.values().map(|lane| lane.queue.len()).sum();
            prop_assert_eq!(census.bytes, (queued + in_flight.len() + unsettled.len()) * cost(bytes()));
            let slow = lanes.by_endpoint.values().filter(|lane| lane.pace == Pace::Slow);
            let slow_in_flight = slow.map(|lane| lane.in_flight.len()).sum::<usize>();
            prop_assert_eq!(lanes.board.ring(Pace::Slow).held, slow_in_flight);
            let of = |slow| lanes.by_endpoint.values().filter(move |lane| (lane.pace == Pace::Slow) == slow);
            prop_assert_eq!(of(true).chain(of(false)).map(|lane| lane.bytes).sum::<usize>(), census.bytes);
            let slow_bytes = of(true).map(|lane| lane.bytes).sum::<usize>();
            prop_assert_eq!(lanes.memory.is_slow_over(), slow_bytes > 20 * cost(bytes()));
            for (slow, table) in [(false, &lanes.dues), (true, &lanes.slow_dues)] {
                let listed = of(slow).filter_map(|lane| Some((lane.listed?.due, lane.prepared.endpoint.id)));
                prop_assert_eq!(&listed.collect::<BTreeSet<_>>(), table);
            }
            for lane in lanes.by_endpoint.values() {
                prop_assert!(lane.reserved == 0);
                prop_assert!(!lane.can_start() || lane.waiting, "a lane with work waits for its turn");
            }
        }
    }
}
