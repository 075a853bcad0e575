//! The fan-out configuration of the applications that are published to, in memory.
//!
//! Held by the publisher, so that a publish does not take the store before its one write. It may be out of date: the store
//! refuses what was decided on an old revision, and the publisher then drops the entry and loads it again. It is bounded
//! by applications and by endpoints; what is over the bound displaces something else.

use std::collections::HashMap;
use std::sync::Arc;

use hookyard_model::{OrganisationId, Revision, limits};
use hookyard_ports::store::{ApplicationRef, ApplicationView};
use parking_lot::RwLock;

/// Views by organisation and by the way callers name the application.
pub(crate) struct Directory {
    entries: RwLock<Entries>,
    applications_max: usize,
    endpoints_max: usize,
}

#[derive(Default)]
struct Entries {
    organisations: HashMap<OrganisationId, HashMap<ApplicationRef, Arc<ApplicationView>>>,
    applications: usize,
    endpoints: usize,
}

impl Directory {
    pub(crate) fn new() -> Self {
        Self::bounded(limits::DIRECTORY_APPLICATIONS, limits::DIRECTORY_ENDPOINTS)
    }

    fn bounded(applications_max: usize, endpoints_max: usize) -> Self {
        Self { entries: RwLock::default(), applications_max, endpoints_max }
    }

    /// What is remembered of an application.
    pub(crate) fn find(
        &self,
        organisation: OrganisationId,
        reference: &ApplicationRef,
    ) -> Option<Arc<ApplicationView>> {
        self.entries.read().organisations.get(&organisation)?.get(reference).cloned()
    }

    /// Remembers a view, unless what is remembered is of a later revision of the same application.
    pub(crate) fn keep(&self, organisation: OrganisationId, reference: &ApplicationRef, view: &Arc<ApplicationView>) {
        let mut entries = self.entries.write();
        let later =
            entries.organisations.get(&organisation).and_then(|views| views.get(reference)).is_some_and(|old| {
                old.application.id == view.application.id && old.application.revision > view.application.revision
            });
        if later {
            return;
        }
        entries.remove(organisation, reference);
        while entries.applications >= self.applications_max
            || entries.applications > 0 && entries.endpoints + view.endpoints.len() > self.endpoints_max
        {
            entries.displace();
        }
        entries.applications += 1;
        entries.endpoints += view.endpoints.len();
        entries.organisations.entry(organisation).or_default().insert(reference.clone(), Arc::clone(view));
    }

    /// Forgets a view that proved out of date, unless another caller has loaded a later one since.
    pub(crate) fn forget(&self, organisation: OrganisationId, reference: &ApplicationRef, seen: Revision) {
        let mut entries = self.entries.write();
        let same = entries
            .organisations
            .get(&organisation)
            .and_then(|views| views.get(reference))
            .is_some_and(|view| view.application.revision <= seen);
        if same {
            entries.remove(organisation, reference);
        }
    }
}

impl Entries {
    fn remove(&mut self, organisation: OrganisationId, reference: &ApplicationRef) {
        let Some(views) = self.organisations.get_mut(&organisation) else { return };
        if let Some(view) = views.remove(reference) {
            self.applications -= 1;
            self.endpoints -= view.endpoints.len();
        }
        if views.is_empty() {
            self.organisations.remove(&organisation);
        }
    }

    /// Removes any one entry. The map's order is random, which is good enough: what is in use comes back with one read.
    fn displace(&mut self) {
        let any = self
            .organisations
            .iter()
            .next()
            .and_then(|(organisation, views)| views.keys().next().map(|key| (*organisation, key.clone())));
        if let Some((organisation, reference)) = any {
            self.remove(organisation, &reference);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hookyard_model::{Application, ApplicationId, DialectName, Endpoint, EndpointId, EndpointSettings};
    use hookyard_model::{EndpointStatus, RawId, Timestamp};

    use super::*;

    fn organisation() -> OrganisationId {
        OrganisationId::default_organisation()
    }

    fn by_uid(uid: &str) -> ApplicationRef {
        ApplicationRef::Uid(uid.parse().expect("a uid"))
    }

    fn view(revision: u64, endpoints: usize) -> Arc<ApplicationView> {
        let id = ApplicationId::from_raw(RawId::MIN);
        let dialect: DialectName = "standard".parse().expect("a dialect");
        let url = url::Url::parse("https://example.com/").expect("a URL");
        let endpoint = Arc::new(Endpoint {
            id: EndpointId::from_raw(RawId::MIN),
            application: id,
            uid: None,
            revision: Revision(revision),
            settings: Arc::new(EndpointSettings::new(url, dialect)),
            status: EndpointStatus::Enabled,
            failing_since: None,
            declared: None,
            application_metadata: Arc::default(),
            created: Timestamp::EPOCH,
            updated: Timestamp::EPOCH,
        });
        let application = Application {
            id,
            organisation: organisation(),
            uid: None,
            name: "party".to_owned(),
            metadata: BTreeMap::new(),
            rate_limit: None,
            require_https: None,
            declared: None,
            revision: Revision(revision),
            created: Timestamp::EPOCH,
            updated: Timestamp::EPOCH,
            archived: None,
        };
        Arc::new(ApplicationView { application, endpoints: vec![endpoint; endpoints] })
    }

    fn found(directory: &Directory, uid: &str) -> Option<Revision> {
        directory.find(organisation(), &by_uid(uid)).map(|view| view.application.revision)
    }

    #[test]
    fn an_earlier_revision_does_not_displace_a_later_one() {
        let directory = Directory::new();
        directory.keep(organisation(), &by_uid("a"), &view(2, 0));
        directory.keep(organisation(), &by_uid("a"), &view(1, 0));
        assert_eq!(found(&directory, "a"), Some(Revision(2)));
        directory.forget(organisation(), &by_uid("a"), Revision(1));
        assert_eq!(found(&directory, "a"), Some(Revision(2)));
        directory.forget(organisation(), &by_uid("a"), Revision(2));
        assert_eq!(found(&directory, "a"), None);
    }

    #[test]
    fn it_is_bounded_by_applications_and_by_endpoints() {
        let directory = Directory::bounded(3, 10);
        for uid in ["a", "b", "c", "d", "e"] {
            directory.keep(organisation(), &by_uid(uid), &view(1, 2));
            assert!(found(&directory, uid).is_some(), "the newest is kept");
        }
        assert_eq!(directory.entries.read().applications, 3);
        directory.keep(organisation(), &by_uid("big"), &view(1, 11));
        assert!(found(&directory, "big").is_some());
        assert_eq!(directory.entries.read().applications, 1, "one that is over the bound by itself stands alone");
        directory.keep(organisation(), &by_uid("a"), &view(1, 2));
        let entries = directory.entries.read();
        assert_eq!((entries.applications, entries.endpoints), (1, 2));
    }
}
