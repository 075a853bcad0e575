//! Whether every application that files declare is free for its file.
//!
//! Called by every store within the transaction of an import, before it writes anything, so that what is refused left
//! nothing behind.

use std::collections::BTreeSet;

use hookyard_model::{Application, FileKind, OrganisationId, Uid};

use super::deed::{Import, ImportError};

/// Refuses imports of which one declares an application that somebody else has. They happen in their order: what an earlier
/// one no longer declares is free for a later one. `present` knows the applications that are not archived.
pub fn refuse_taken<'a>(
    imports: &'a [Import],
    present: impl Fn(OrganisationId, &Uid) -> Option<&'a Application>,
) -> Result<(), ImportError> {
    let mut before: Vec<(&Import, BTreeSet<&Uid>)> = Vec::with_capacity(imports.len());
    for import in imports {
        for declared in &import.applications {
            if let Some(owner) = owner(&before, import.organisation, &declared.uid, &present)
                && owner.kind != Some(import.kind)
            {
                return Err(ImportError::Taken { uid: declared.uid.clone(), owner: owner.name.to_owned() });
            }
        }
        before.push((import, import.applications.iter().map(|declared| &declared.uid).collect()));
    }
    Ok(())
}

/// Who has an application.
struct Owner<'a> {
    /// `None` is the API.
    kind: Option<FileKind>,
    name: &'a str,
}

/// Who has a uid once these imports are done.
fn owner<'a>(
    before: &[(&'a Import, BTreeSet<&Uid>)],
    organisation: OrganisationId,
    uid: &Uid,
    present: impl Fn(OrganisationId, &Uid) -> Option<&'a Application>,
) -> Option<Owner<'a>> {
    let mut owner = present(organisation, uid).map(|application| match &application.declared {
        Some(declared) => Owner { kind: Some(declared.kind), name: &declared.file },
        None => Owner { kind: None, name: "the API" },
    });
    for (import, uids) in before.iter().filter(|(import, _)| import.organisation == organisation) {
        if uids.contains(uid) {
            owner = Some(Owner { kind: Some(import.kind), name: &import.file });
        } else if owner.as_ref().is_some_and(|owner| owner.kind == Some(import.kind)) {
            owner = None;
        }
    }
    owner
}
