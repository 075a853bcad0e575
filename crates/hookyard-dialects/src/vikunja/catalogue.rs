//! The events that Vikunja announces, as listed by its own `GET /api/v1/webhooks/events`.
//!
//! Every payload is an object of a few kinds of thing; what those look like is in `catalogue/definitions.json`, with one
//! sample of each beside it. A webhook of a project gets that `project` with every event.

use crate::CatalogueEntry;

/// An event: its name, what it tells, and its members as `name: kind = sample`, those that are not always there behind `;`.
macro_rules! event {
    (
        $name:literal, $description:literal, $first:ident: $first_kind:ident = $first_sample:ident
        $(, $member:ident: $kind:ident = $sample:ident)* $(; $optional:ident: $optional_kind:ident = $optional_sample:ident)?
    ) => {
        CatalogueEntry {
            name: $name,
            description: $description,
            danger: None,
            schema: concat!(
                "{\n\"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n\"type\": \"object\",\n\"required\": [\"",
                stringify!($first), "\"" $(, ", \"", stringify!($member), "\"")*,
                "],\n\"properties\": {\n\"",
                stringify!($first), "\": { \"$ref\": \"#/$defs/", stringify!($first_kind), "\" }"
                $(, ",\n\"", stringify!($member), "\": { \"$ref\": \"#/$defs/", stringify!($kind), "\" }")*
                $(, ",\n\"", stringify!($optional), "\": { \"$ref\": \"#/$defs/", stringify!($optional_kind), "\" }")?,
                "\n},\n\"$defs\": ", include_str!("catalogue/definitions.json"), "}"
            ),
            sample: concat!(
                "{\n\"", stringify!($first), "\": ", sample!($first_sample)
                $(, ",\n\"", stringify!($member), "\": ", sample!($sample))*
                $(, ",\n\"", stringify!($optional), "\": ", sample!($optional_sample))?,
                "}"
            ),
        }
    };
}

/// The text of a sample.
macro_rules! sample {
    ($name:ident) => {
        include_str!(concat!("catalogue/samples/", stringify!($name), ".json"))
    };
}

pub(super) static EVENTS: [CatalogueEntry; 19] = [
    event!("project.deleted", "A project was deleted.", project: project = project, doer: user = alice),
    event!(
        "project.shared.team", "A project was shared with a team.",
        project: project = project, team: team = team, doer: user = alice
    ),
    event!(
        "project.shared.user", "A project was shared with a user.",
        project: project = project, user: user = bob, doer: user = alice
    ),
    event!("project.updated", "A project was changed.", project: project = project, doer: user = alice),
    event!(
        "task.assignee.created", "Somebody was assigned to a task.",
        task: task = task, assignee: user = bob, doer: user = alice; project: project = project
    ),
    event!(
        "task.assignee.deleted", "Somebody was taken off a task.",
        task: task = task, assignee: user = bob, doer: user = alice; project: project = project
    ),
    event!(
        "task.attachment.created", "A file was attached to a task.",
        task: task = task, attachment: attachment = attachment, doer: user = alice; project: project = project
    ),
    event!(
        "task.attachment.deleted", "A file was removed from a task.",
        task: task = task, attachment: attachment = attachment, doer: user = alice; project: project = project
    ),
    event!(
        "task.comment.created", "Somebody commented on a task.",
        task: task = task, comment: comment = comment, doer: user = bob; project: project = project
    ),
    event!(
        "task.comment.deleted", "A comment on a task was deleted.",
        task: task = task, comment: comment = comment, doer: user = bob; project: project = project
    ),
    event!(
        "task.comment.edited", "A comment on a task was changed.",
        task: task = task, comment: comment = comment, doer: user = bob; project: project = project
    ),
    event!(
        "task.created", "A task was created.",
        task: task = task, doer: user = alice; project: project = project
    ),
    event!(
        "task.deleted", "A task was deleted.",
        task: task = task, doer: user = alice; project: project = project
    ),
    event!(
        "task.overdue", "A task's due date has passed; for one user.",
        task: task = task, user: user = bob, project: project = project
    ),
    event!(
        "task.relation.created", "A task was related to another one.",
        task: task = task, relation: relation = relation, doer: user = alice; project: project = project
    ),
    event!(
        "task.relation.deleted", "A task's relation to another one was removed.",
        task: task = task, relation: relation = relation, doer: user = alice; project: project = project
    ),
    event!(
        "task.reminder.fired", "A reminder of a task is due; for one user.",
        task: task = task, user: user = bob, project: project = project, reminder: reminder = reminder
    ),
    event!(
        "task.updated", "A task was changed, finished or moved; one action may cause several of these.",
        task: task = task, doer: user = alice; project: project = project
    ),
    event!(
        "tasks.overdue", "The tasks of one user whose due dates have passed, with their projects by id.",
        tasks: tasks = tasks, user: user = bob, projects: projects = projects
    ),
];
