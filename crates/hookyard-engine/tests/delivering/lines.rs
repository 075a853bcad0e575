//! What a person reads who must find out why something did not arrive.

use std::fmt::Write as _;
use std::sync::Arc;

use hookyard_model::{HeaderPair, RetryPolicy, Secret};
use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::receivers::Reply;
use crate::world::{World, endpoint, id, numbered, seconds};

/// Writes down warnings and errors of the engine, one line each.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).expect("a string takes all");
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("hookyard")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl Lines {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// The lines of one message whose receiver follows this script and is tried twice.
async fn lines(script: Vec<Reply>) -> Vec<String> {
    let twice = endpoint(1, |settings| {
        settings.retry = Some(RetryPolicy::Fixed { delay: seconds(10), retries: 1 });
        settings.headers = vec![HeaderPair { name: "X-Team".to_owned(), value: Secret::new("canary".to_owned()) }];
    });
    let world = World::new(vec![twice]).await;
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let node = world.start().await;
    world.receivers.script(id(1), script);
    let message = node.publish(numbered(1)).await.to_string();
    world.quiet(seconds(60)).await;
    node.engine.stop(seconds(1)).await;
    let lines = lines.take();
    for line in &lines {
        assert!(line.contains(&message), "which message: {line}");
        assert!(line.contains("receiver-1"), "which endpoint: {line}");
        assert!(line.contains("app_") || line.contains("panicked"), "which application: {line}");
        assert!(!line.contains("canary"), "{line}");
    }
    lines
}

fn says(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "`{part}` is missing: {line}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_failed_attempt_is_one_line_with_what_a_person_needs() {
    let both = lines(vec![Reply::Status(503), Reply::Unreachable]).await;
    assert_eq!(both.len(), 2, "{both:?}");
    let first = ["thing.happened", "receiver-1.example", "answered 503", "attempt 1 of 2", "2026-01-01T00:00:10"];
    says(&both[0], &first);
    says(&both[1], &["no connection could be made: connection refused", "given up: schedule spent"]);
}

#[tokio::test(start_paused = true)]
async fn a_line_says_whether_somebody_asked_for_the_attempt() {
    let once = endpoint(1, |settings| {
        settings.retry = Some(RetryPolicy::Fixed { delay: seconds(10), retries: 0 });
    });
    let world = World::new(vec![once]).await;
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let node = world.start().await;
    world.receivers.always(id(1), Reply::Status(500));
    let message = node.publish(numbered(1)).await;
    world.quiet(seconds(1)).await;
    node.resend(message, id(1)).await;
    world.arrivals(id(1), 2, seconds(10)).await;
    world.quiet(seconds(1)).await;
    node.engine.stop(seconds(1)).await;
    let lines = lines.take();
    assert_eq!(lines.len(), 2, "{lines:?}");
    says(&lines[0], &["by_hand=false"]);
    says(&lines[1], &["by_hand=true", "given up: schedule spent"]);
}

#[tokio::test(start_paused = true)]
async fn a_success_is_no_line() {
    assert_eq!(lines(vec![Reply::Status(204)]).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn lines_say_what_kind_of_trouble_it_was() {
    let hung = lines(vec![Reply::Hangs]).await;
    says(&hung[0], &["no complete answer within 15s"]);
    let blocked = lines(vec![Reply::Blocked]).await;
    says(&blocked[0], &["it leads to a private network", "egress.allow"]);
    let stale = lines(vec![Reply::Stale]).await;
    says(&stale[0], &["the kept-alive connection was closed", "tried again at once, not counted"]);
}

#[tokio::test(start_paused = true)]
async fn a_disabled_endpoint_is_a_line_of_its_own() {
    let gone = lines(vec![Reply::Status(410)]).await;
    assert_eq!(gone.len(), 2, "{gone:?}");
    says(&gone[0], &["answered 410", "called off: endpoint gone"]);
    says(&gone[1], &["the endpoint is disabled", "hookyard endpoints enable app_", " receiver-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_says_whose_delivery_it_was() {
    let panicked = lines(vec![Reply::Panics]).await;
    says(&panicked.join("\n"), &["ERROR", "panicked", "defect of Hookyard"]);
}
