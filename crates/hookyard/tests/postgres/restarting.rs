//! A database server that is restarted under its nodes.

use tokio::sync::watch;

use crate::cluster::Cluster;
use crate::deployment::{endpoint, party};
use crate::load::{Door, Ledger, all_delivered, publish};
use crate::world::{Way, World, check_log, check_refused, on_every_way};

on_every_way! {
    a_server_that_is_stopped_and_crashes_under_load_costs_nothing_that_was_acknowledged
}

async fn a_server_that_is_stopped_and_crashes_under_load_costs_nothing_that_was_acknowledged(way: Way) {
    let Some(cluster) = Cluster::start().await else { return };
    let Some(world) = World::on(&cluster.url("postgres", "postgres"), way).await else { return };
    let ledger = Ledger::taking(std::time::Duration::from_millis(20)).await;
    let config = party(&[&endpoint("crm", &ledger.url(), "")]);
    let (a, b) = (world.node("a", &config), world.node("b", &config));
    let (one, other) = (a.start().await, b.start().await);
    let doors = [Door::of(&one), Door::of(&other)];
    let (stop, stopped) = watch::channel(false);
    let story = async {
        let mut count = 0;
        for mode in ["fast", "immediate"] {
            count += 30;
            ledger.arrived(count).await;
            cluster.stop(mode).await;
            for node in [&one, &other] {
                check_refused(node).await;
            }
            cluster.resume().await;
            count = ledger.arrivals().len();
        }
        ledger.arrived(count + 30).await;
        stop.send_replace(true);
    };
    let (acknowledged, ()) = tokio::join!(publish(&doors, stopped), story);
    all_delivered(&one, &acknowledged).await;
    let counts = ledger.counts();
    for taken in &acknowledged {
        assert!(counts.contains_key(&taken.number), "{} never came", taken.number);
    }
    for node in [one, other] {
        check_log(&node.stop().await, 2);
    }
}
