//! Where the configured endpoints are: whether their names have addresses, and whether the guard lets them through.
//!
//! Asks the very guard and resolver that `serve` sends with.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use hookyard_egress::{Destination, Host, Policy, RANGES, Refusal, Resolve, ResolveError, Subject, SystemResolver};
use hookyard_model::Trust;
use hookyard_ports::SystemClock;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use url::Url;

use super::Finding;
use crate::config::{Config, DeclaredApplication};
use crate::wiring;

const DNS: &str = "dns";
const EGRESS: &str = "egress";
/// Names that are asked for at once.
const AT_ONCE: usize = 16;
/// Destinations that are looked at; a report of more is read by nobody.
const DESTINATIONS: usize = 200;

/// A destination of some of the endpoints.
struct Named {
    url: Url,
    /// The first endpoint that names it, as the report shows it.
    first: String,
    others: usize,
}

/// Looks at the destination of every declared endpoint.
pub(super) async fn look(config: &Config, findings: &mut Vec<Finding>) {
    let policy = wiring::policy(&config.settings, config.settings.listen.value);
    let destinations = destinations(config);
    if destinations.is_empty() {
        findings.push(Finding::ok(EGRESS, "no file declares an endpoint"));
        return;
    }
    let mut judged = Vec::new();
    for (origin, named) in destinations.iter().take(DESTINATIONS) {
        judged.push((origin, named, policy.judge_url(&named.url, Trust::Operator)));
    }
    let names = judged.iter().filter_map(|(.., judged)| match judged {
        Ok(Destination { host: Host::Name(name), .. }) => Some(name.clone()),
        Ok(Destination { host: Host::Address(_), .. }) | Err(_) => None,
    });
    let addresses = resolve(names.collect()).await;
    findings.extend(addresses.iter().map(|(name, addresses)| resolved(name, addresses)));
    for (origin, named, judged) in &judged {
        let verdict = match judged {
            Ok(destination) => judge_addresses(&policy, destination, &addresses),
            Err(refusal) => Some(Err(refusal.clone())),
        };
        findings.extend(verdict.map(|verdict| told(origin, named, verdict)));
    }
    if destinations.len() > DESTINATIONS {
        let left = destinations.len() - DESTINATIONS;
        findings.push(Finding::warn(EGRESS, format!("{left} more destinations are not looked at")));
    }
}

/// Every destination, by scheme, host and port.
fn destinations(config: &Config) -> BTreeMap<String, Named> {
    let foreign = config.foreign.iter().filter_map(|foreign| foreign.application.as_ref());
    let applications: Vec<&DeclaredApplication> = config.declared.applications.iter().chain(foreign).collect();
    let mut destinations: BTreeMap<String, Named> = BTreeMap::new();
    for application in applications {
        for (uid, endpoint) in &application.endpoints {
            let url = &endpoint.settings.url;
            let origin = url.origin().ascii_serialization();
            let known = destinations.entry(origin).and_modify(|named| named.others += 1);
            known.or_insert_with(|| {
                let name = endpoint.settings.name.as_deref().unwrap_or(uid.as_str());
                Named { url: url.clone(), first: format!("`{}` of `{}`", name, application.uid), others: 0 }
            });
        }
    }
    destinations
}

type Addresses = BTreeMap<String, Result<Vec<IpAddr>, ResolveError>>;

/// The addresses of every name.
async fn resolve(names: Vec<String>) -> Addresses {
    let resolver = Arc::new(SystemResolver::new(Arc::new(SystemClock::new())));
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut asking = JoinSet::new();
    let mut addresses: Addresses = names.iter().map(|name| (name.clone(), Err(ResolveError::NoAnswer))).collect();
    for name in addresses.keys().cloned() {
        let (resolver, turns) = (Arc::clone(&resolver), Arc::clone(&turns));
        asking.spawn(async move {
            // Nobody closes the semaphore.
            let _turn = turns.acquire().await;
            let found = resolver.resolve(&name).await;
            (name, found)
        });
    }
    while let Some(asked) = asking.join_next().await {
        addresses.extend(asked.ok());
    }
    addresses
}

fn resolved(name: &str, addresses: &Result<Vec<IpAddr>, ResolveError>) -> Finding {
    match addresses {
        Ok(addresses) => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            Finding::ok(DNS, format!("`{name}` has {}", addresses.join(", ")))
        }
        Err(error @ (ResolveError::NoSuchName | ResolveError::NoAddress)) => {
            Finding::fail(DNS, format!("`{name}`: {error}")).hint("correct the endpoint's URL, or the name server")
        }
        Err(error @ (ResolveError::NoAnswer | ResolveError::Failed)) => {
            Finding::fail(DNS, format!("`{name}`: {error}")).hint("look at `/etc/resolv.conf` and the network")
        }
    }
}

/// What the guard says of a destination's addresses: what they are, or the first that it refuses. `None` when the name has
/// none.
fn judge_addresses(
    policy: &Policy,
    destination: &Destination,
    addresses: &Addresses,
) -> Option<Result<&'static str, Refusal>> {
    let (ips, name) = match &destination.host {
        Host::Address(ip) => (vec![*ip], None),
        Host::Name(name) => (addresses.get(name)?.as_ref().ok()?.clone(), Some(name)),
    };
    for ip in &ips {
        if let Err(Refusal { rule, subject }) =
            policy.judge_address(ip.to_canonical(), destination.port, destination.standing)
        {
            // A name is opened by its name, as the guard's own hint has it.
            let subject = name.map_or(subject, |name| Subject::Name(name.clone(), destination.port));
            return Some(Err(Refusal { rule, subject }));
        }
    }
    let kind = |ip: &IpAddr| RANGES.iter().find(|range| range.net.contains(&ip.to_canonical())).map(|range| range.what);
    Some(Ok(ips.iter().find_map(kind).unwrap_or("a public address")))
}

fn told(origin: &str, named: &Named, verdict: Result<&'static str, Refusal>) -> Finding {
    let Named { first, others, .. } = named;
    let who = match others {
        0 => first.clone(),
        1 => format!("{first} and 1 more"),
        _ => format!("{first} and {others} more"),
    };
    match verdict {
        Ok(kind) => Finding::ok(EGRESS, format!("{origin} ({who}) is {kind} and let through")),
        Err(refusal) => {
            let finding = Finding::fail(EGRESS, format!("{origin} ({who}) is not let through: {refusal}"));
            match refusal.hint() {
                Some(line) => finding.hint(line),
                None => finding,
            }
        }
    }
}
