//! The engine in a simulated world: seeded clock, network and failing store, workers that crash.
//!
//! Each seed is one run: messages are published through any worker, receivers fail and hang, the store fails before and
//! after the fact, workers die at any moment and come back. At the end the world heals, and every promise is checked. A
//! seed that breaks one is printed; `SEED=<n>` with the test's name runs it alone and shows its log.
//!
//! The store is the one in memory for many seeds, and for a few each real one: the embedded store with its fsync, whose only
//! worker is killed and opens it again, and a `PostgreSQL` database with three workers. `HOOKYARD_TEST_POSTGRES` is the URL
//! of its server; without it those tests pass over and say so. Over a real store each seed is run in either [`Pace`]: with
//! calls one by one a seed gives the same calls in the same order, with calls at once they meet in the store as they come.
//!
//! `SEEDS=<count>` sets how many seeds are run, `FIRST_SEED=<n>` where they begin.

#[expect(dead_code, reason = "the tests of that store ask more of it")]
#[path = "../../crates/hookyard-postgres/tests/store/ground.rs"]
mod database;
#[path = "../../crates/hookyard-sqlite/tests/ground/mod.rs"]
mod embedded;
mod network;
mod place;
mod promises;
mod world;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use hookyard_ports::testkit::Pace;

use place::Place;
use promises::Tally;
use world::World;

/// How many seeds a real store is run with in each pace, unless somebody says otherwise.
const ON_DISK: u64 = 10;

#[test]
fn no_accepted_message_is_lost_whatever_fails() {
    // A storm that harms nobody proves nothing.
    let sum = run_all(1_000, || Some(Place::memory()));
    assert!(sum.seeds < 100 || sum.harmed_enough(), "the storms were too mild: {sum:?}");
}

#[test]
fn the_embedded_store_loses_nothing_with_calls_one_by_one() {
    run_all(ON_DISK, || Some(Place::embedded(Pace::OneByOne)));
}

#[test]
fn the_embedded_store_loses_nothing_with_calls_at_once() {
    run_all(ON_DISK, || Some(Place::embedded(Pace::AtOnce)));
}

#[test]
fn a_database_of_three_nodes_loses_nothing_with_calls_one_by_one() {
    run_all(ON_DISK, || Place::database(Pace::OneByOne));
}

#[test]
fn a_database_of_three_nodes_loses_nothing_with_calls_at_once() {
    run_all(ON_DISK, || Place::database(Pace::AtOnce));
}

/// Runs the seeds that were asked for, each in a place of its own; `None` passes over.
fn run_all(seeds: u64, place: impl Fn() -> Option<Place>) -> Tally {
    let mut sum = Tally::default();
    if let Some(seed) = number("SEED") {
        if let Some(place) = place() {
            sum.add(&run(seed, place));
        }
        return sum;
    }
    let first = number("FIRST_SEED").unwrap_or(1);
    for seed in first..first + number("SEEDS").unwrap_or(seeds) {
        let Some(place) = place() else { return sum };
        let Ok(tally) = std::panic::catch_unwind(AssertUnwindSafe(|| run(seed, place))) else {
            panic!("seed {seed} broke a promise; run it alone with SEED={seed}");
        };
        sum.add(&tally);
    }
    eprintln!("{sum:?}");
    assert!(sum.seeds < 10 || sum.harmed_some(), "the storms were too mild: {sum:?}");
    sum
}

#[expect(clippy::disallowed_methods, reason = "the number of seeds is set by whoever runs the test")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn run(seed: u64, place: Place) -> Tally {
    // It outlives the world with all its tasks: they may hold connections, and a runtime is not dropped within another one.
    let place = Arc::new(place);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime for the simulation");
    runtime.block_on(async {
        let mut world = World::new(seed, Arc::clone(&place));
        world.live().await;
        world.heal().await;
        world.check().await
    })
}
