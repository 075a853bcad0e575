//! An endpoint's retry policy in a file: `{ policy = "fixed", delay = "10s", retries = 3 }` and its siblings.

use std::time::Duration;

use hookyard_model::{RetryPolicy, limits, parse_duration};

use super::document::{Table, Value};
use super::fault::Faults;

/// What a policy leaves open.
const FACTOR: f64 = 2.0;

/// Reads a policy; `jitter` is the deployment's, for those that vary and do not say.
pub(crate) fn read(value: Value<'_>, jitter: f64, faults: &mut Faults) -> Option<RetryPolicy> {
    let mut table = value.table(faults)?;
    let name = table.require("policy", faults)?;
    let place = table.place();
    let key = table.key("policy");
    let policy = match name.text(faults)? {
        "fixed" => fixed(&mut table, faults),
        "exponential" => exponential(&mut table, jitter, faults),
        "schedule" => schedule(&mut table, jitter, faults),
        other => {
            let given = super::fault::quoted(other);
            name.fault(faults, format_args!("is {given}, must be `fixed`, `exponential` or `schedule`"));
            return None;
        }
    };
    table.finish(faults);
    match policy?.checked() {
        Ok(policy) => Some(policy),
        Err(error) => {
            faults.add(&place, &key, error);
            None
        }
    }
}

fn fixed(table: &mut Table<'_>, faults: &mut Faults) -> Option<RetryPolicy> {
    let (delay, retries) = (delay(table, "delay", faults), retries(table, faults));
    Some(RetryPolicy::Fixed { delay: delay?, retries: retries? })
}

fn exponential(table: &mut Table<'_>, jitter: f64, faults: &mut Faults) -> Option<RetryPolicy> {
    let (delay, retries) = (delay(table, "delay", faults), retries(table, faults));
    let factor = number(table, "factor", FACTOR, faults);
    let max_delay = table.take("max_delay").map(|value| value.parse(parse_duration, faults));
    let jitter = number(table, "jitter", jitter, faults);
    Some(RetryPolicy::Exponential {
        delay: delay?,
        factor: factor?,
        max_delay: max_delay.unwrap_or(Some(limits::RETRY_DELAY))?,
        retries: retries?,
        jitter: jitter?,
    })
}

fn schedule(table: &mut Table<'_>, jitter: f64, faults: &mut Faults) -> Option<RetryPolicy> {
    let list = table.require("delays", faults).map(|value| value.list(limits::RETRIES, faults));
    let delays: Option<Vec<Duration>> = list.map(|items| {
        // Each is read, so that each that is wrong is said.
        let read: Vec<_> = items.iter().map(|item| item.parse(parse_duration, faults)).collect();
        read.into_iter().flatten().collect()
    });
    let jitter = number(table, "jitter", jitter, faults);
    Some(RetryPolicy::Schedule { delays: delays?, jitter: jitter? })
}

fn delay(table: &mut Table<'_>, name: &str, faults: &mut Faults) -> Option<Duration> {
    table.require(name, faults)?.parse(parse_duration, faults)
}

fn retries(table: &mut Table<'_>, faults: &mut Faults) -> Option<u16> {
    let most = u32::try_from(limits::RETRIES).unwrap_or(u32::MAX);
    let number = table.require("retries", faults)?.whole(0..=most, faults)?;
    u16::try_from(number).ok()
}

/// A number, or `default` when there is none; `None` when it is wrong, which has been said.
fn number(table: &mut Table<'_>, name: &str, default: f64, faults: &mut Faults) -> Option<f64> {
    table.take(name).map_or(Some(default), |value| value.number(faults))
}
