-- The embedded store's first form.
--
-- Public ids are 20-byte blobs; inside, rows point at each other by integers. Times are microseconds since 1970, UTC.
-- Everything that a CHECK says is an invariant that the writer keeps; a violation is a defect of ours, never a stranger's.
-- Rows are only written by the one writer, so references are kept by its code and not by foreign keys, which would cost a
-- lookup for every row of the hot path. A CHECK on the hot path says BETWEEN and not IN: a list of more than two makes SQLite
-- build a table of it for every row.

-- Single values: marks of what was given out, the check value of `main_secret`, counts at a clean stop.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- Lives of this node. A lease names one.
CREATE TABLE node (
    incarnation INTEGER PRIMARY KEY,
    started     INTEGER NOT NULL,
    heartbeat   INTEGER,
    stopped     INTEGER
) STRICT;

CREATE TABLE application (
    row           INTEGER PRIMARY KEY,
    id            BLOB NOT NULL UNIQUE CHECK (length(id) = 20),
    organisation  BLOB NOT NULL CHECK (length(organisation) = 20),
    uid           TEXT,
    name          TEXT NOT NULL,
    metadata      TEXT,               -- JSON object; NULL is empty
    rate_limit    TEXT,
    require_https INTEGER CHECK (require_https IN (0, 1)),
    declared_kind TEXT,
    declared_file TEXT,
    revision      INTEGER NOT NULL CHECK (revision > 0),
    created       INTEGER NOT NULL,
    updated       INTEGER NOT NULL,
    archived      INTEGER,
    CHECK ((declared_kind IS NULL) = (declared_file IS NULL))
) STRICT;
-- Keeps the uid rule, and finds an application by its uid.
CREATE UNIQUE INDEX application_uid ON application (organisation, uid) WHERE uid IS NOT NULL AND archived IS NULL;
-- Lists an organisation's applications.
CREATE INDEX application_organisation ON application (organisation, id) WHERE archived IS NULL;

-- The present form of an endpoint, without its settings: those are in the endpoint_revision that `revision` names.
CREATE TABLE endpoint (
    row           INTEGER PRIMARY KEY,
    id            BLOB NOT NULL UNIQUE CHECK (length(id) = 20),
    application   INTEGER NOT NULL,
    uid           TEXT,
    revision      INTEGER NOT NULL CHECK (revision > 0),
    status        INTEGER NOT NULL CHECK (status BETWEEN 0 AND 2),  -- enabled, disabled, archived
    reason        INTEGER,                                       -- of disabled
    since         INTEGER,                                       -- of disabled and archived
    failing_since INTEGER,
    declared_kind TEXT,
    declared_file TEXT,
    created       INTEGER NOT NULL,
    updated       INTEGER NOT NULL,
    CHECK ((status = 1) = (reason IS NOT NULL)),
    CHECK ((status = 0) = (since IS NULL)),
    CHECK ((declared_kind IS NULL) = (declared_file IS NULL))
) STRICT;
-- Keeps the uid rule.
CREATE UNIQUE INDEX endpoint_uid ON endpoint (application, uid) WHERE uid IS NOT NULL AND status <> 2;
-- Lists an application's endpoints for a fan-out.
CREATE INDEX endpoint_application ON endpoint (application, id);
-- Finds the endpoints whose pending deliveries are held or to be cancelled, among many that are enabled.
CREATE INDEX endpoint_off ON endpoint (status, row) WHERE status <> 0;

-- What a fan-out at a revision of the application saw; append-only, so that a decision can be explained later.
CREATE TABLE endpoint_revision (
    endpoint      INTEGER NOT NULL,
    revision      INTEGER NOT NULL CHECK (revision > 0),
    status        INTEGER NOT NULL CHECK (status BETWEEN 0 AND 2),
    reason        INTEGER,
    since         INTEGER,
    declared_kind TEXT,
    declared_file TEXT,
    updated       INTEGER NOT NULL,
    settings      BLOB NOT NULL,      -- sealed; its place is (endpoint_revision, endpoint's id, revision)
    PRIMARY KEY (endpoint, revision),
    CHECK ((status = 1) = (reason IS NOT NULL)),
    CHECK ((status = 0) = (since IS NULL))
) STRICT, WITHOUT ROWID;

-- Accepted events. `seq` is the order of acceptance and is never given twice.
CREATE TABLE message (
    seq          INTEGER PRIMARY KEY,
    id           BLOB NOT NULL CHECK (length(id) = 20),
    application  INTEGER NOT NULL,
    accepted     INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    origin       INTEGER NOT NULL,
    origin_name  TEXT,                -- a source's name; the id of what was edited
    deliver_at   INTEGER,
    event_type   TEXT NOT NULL,
    event_id     TEXT,
    event_time   TEXT,                -- the text it came as
    channels     TEXT,                -- one a line; NULL is none
    tags         TEXT,                -- one a line; NULL is none
    content_type TEXT,                -- NULL is application/json
    kept_headers TEXT,                -- JSON array of pairs; NULL is none
    targets      BLOB,                -- ids of 20 bytes each; NULL is no restriction
    payload      BLOB                 -- last, so that everything else is read without its overflow pages; NULL is expunged
) STRICT;
-- Every caller names a message with its application, so one index finds it, keeps its id unique and lists by age.
CREATE UNIQUE INDEX message_id ON message (application, id);
-- Finds what pruning may take.
CREATE INDEX message_expires ON message (expires);
-- Finds a message by the publisher's own id; rows without one cost nothing.
CREATE INDEX message_event_id ON message (application, event_id) WHERE event_id IS NOT NULL;

-- What each message owes to each endpoint; this table is the queue. Clustered by message: new rows go to the end, and a
-- message's deliveries stand together. `due` is set while something is owed (also while leased), `holder` while leased.
CREATE TABLE delivery (
    message   INTEGER NOT NULL,
    endpoint  INTEGER NOT NULL,
    state     INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),     -- open (pending, leased), delivered, failed, cancelled
    reason    INTEGER,                                           -- of failed and cancelled
    due       INTEGER,
    holder    INTEGER,
    waits     INTEGER NOT NULL CHECK (waits IN (0, 1)),          -- an earlier one with the same order key is open
    order_key INTEGER,
    charged   INTEGER NOT NULL,
    round     INTEGER NOT NULL,
    variant   INTEGER NOT NULL,
    manual    INTEGER NOT NULL CHECK (manual IN (0, 1)),         -- the next attempt's trigger is by hand
    PRIMARY KEY (message, endpoint),
    CHECK ((state >= 2) = (reason IS NOT NULL)),
    CHECK (due IS NULL OR state < 2),                            -- what is over owes nothing; delivered may owe an extra
    CHECK (due IS NOT NULL OR (state <> 0 AND holder IS NULL)),  -- open is due; only what is due can be leased
    CHECK (waits = 0 OR (state = 0 AND order_key IS NOT NULL))
) STRICT, WITHOUT ROWID;
-- Claims: an endpoint's longest due that wait for nothing. What is accepted as leased and delivered never enters it. The
-- state is in it so that what is pending can be counted without the extra attempts, and the holder, always NULL, so that
-- counting and looking for the first due time read no rows.
CREATE INDEX delivery_due ON delivery (endpoint, waits, due, message, state, holder) WHERE due IS NOT NULL AND holder IS NULL;
-- Rescue: what dead incarnations hold. As small as what is in flight. The state is in it for counting, too.
CREATE INDEX delivery_holder ON delivery (holder, state) WHERE holder IS NOT NULL;
-- Order: the first open delivery of a key. Rows without a key cost nothing.
CREATE INDEX delivery_order ON delivery (endpoint, order_key, message) WHERE order_key IS NOT NULL AND state = 0;

-- The log; append-only.
CREATE TABLE attempt (
    row              INTEGER PRIMARY KEY,
    id               BLOB NOT NULL CHECK (length(id) = 20),
    message          INTEGER NOT NULL,
    endpoint         INTEGER NOT NULL,
    "trigger"        INTEGER NOT NULL,
    outcome          INTEGER NOT NULL,
    started          INTEGER NOT NULL,
    dns              INTEGER,
    connect          INTEGER,
    tls              INTEGER,
    first_byte       INTEGER,
    total            INTEGER NOT NULL,
    status           INTEGER,
    detail           TEXT,
    rule             TEXT,
    hint             TEXT,
    peer             TEXT,            -- an address with its port, or `proxy ` and a name
    url              TEXT NOT NULL,
    request_headers  TEXT NOT NULL,
    response_headers TEXT,
    truncated        INTEGER,
    body             BLOB,
    CHECK ((status IS NULL) = (response_headers IS NULL)),
    CHECK ((status IS NULL) = (truncated IS NULL)),
    CHECK ((status IS NULL) = (body IS NULL))
) STRICT;
-- Lists an endpoint's attempts by age, and with the application's endpoints finds one by its id. An attempt that is
-- recorded again has the same endpoint and message, so the two indexes see it; an index of ids alone is not needed.
CREATE UNIQUE INDEX attempt_endpoint ON attempt (endpoint, id);
-- Lists a message's attempts by age, and finds them when the message is pruned.
CREATE UNIQUE INDEX attempt_message ON attempt (message, id);

-- Counts for an endpoint and a minute (minutes since 1970), written once per commit.
CREATE TABLE rollup (
    endpoint INTEGER NOT NULL,
    minute   INTEGER NOT NULL,
    counts   BLOB NOT NULL,
    PRIMARY KEY (endpoint, minute)
) STRICT, WITHOUT ROWID;
-- Finds what pruning may take.
CREATE INDEX rollup_minute ON rollup (minute);

-- Keys that only one message of an application may have.
CREATE TABLE dedupe (
    application INTEGER NOT NULL,
    kind        INTEGER NOT NULL,
    key         TEXT NOT NULL,
    message     INTEGER NOT NULL,
    fingerprint BLOB,
    expires     INTEGER,              -- NULL: for as long as the message is kept
    PRIMARY KEY (application, kind, key)
) STRICT, WITHOUT ROWID;
-- Finds a message's keys when it is pruned.
CREATE INDEX dedupe_message ON dedupe (message);
-- Finds keys that ran out.
CREATE INDEX dedupe_expires ON dedupe (expires) WHERE expires IS NOT NULL;

-- Inbound doors.
CREATE TABLE source (
    row           INTEGER PRIMARY KEY,
    id            BLOB NOT NULL UNIQUE CHECK (length(id) = 20),
    organisation  BLOB NOT NULL CHECK (length(organisation) = 20),
    application   INTEGER NOT NULL,
    name          TEXT NOT NULL,
    dialect       TEXT NOT NULL,
    revision      INTEGER NOT NULL,
    settings      BLOB NOT NULL,      -- sealed; its place is (source, id, revision)
    declared_kind TEXT,
    declared_file TEXT,
    created       INTEGER NOT NULL,
    updated       INTEGER NOT NULL,
    archived      INTEGER,
    CHECK ((declared_kind IS NULL) = (declared_file IS NULL))
) STRICT;
CREATE UNIQUE INDEX source_name ON source (name) WHERE archived IS NULL;

-- Requests that a source did not let in, and why.
CREATE TABLE refusal (
    row     INTEGER PRIMARY KEY,
    source  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    rule    TEXT NOT NULL,
    why     TEXT NOT NULL,
    peer    TEXT,
    headers TEXT NOT NULL,
    bytes   INTEGER NOT NULL
) STRICT;
-- Lists a source's refusals by age and finds those beyond what is kept.
CREATE INDEX refusal_source ON refusal (source, row);

-- Rules that make something happen at times.
CREATE TABLE job (
    row         INTEGER PRIMARY KEY,  -- the small integer by which Kai's doors name it
    id          BLOB NOT NULL UNIQUE CHECK (length(id) = 20),
    application INTEGER NOT NULL,
    name        TEXT NOT NULL,
    rule        TEXT NOT NULL,        -- JSON
    event_type  TEXT NOT NULL,
    payload     BLOB NOT NULL,
    next        INTEGER,              -- NULL: over, or switched off
    last        INTEGER,
    created     INTEGER NOT NULL,
    updated     INTEGER NOT NULL,
    archived    INTEGER
) STRICT;
-- Finds what is to be fired.
CREATE INDEX job_next ON job (next) WHERE next IS NOT NULL;

-- Long work in the background.
CREATE TABLE task (
    row         INTEGER PRIMARY KEY,
    id          BLOB NOT NULL UNIQUE CHECK (length(id) = 20),
    application INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    arguments   TEXT NOT NULL,        -- JSON
    state       INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),  -- open, done, failed, cancelled
    cursor      BLOB,
    done        INTEGER NOT NULL,
    cancel      INTEGER NOT NULL CHECK (cancel IN (0, 1)),
    detail      TEXT,
    created     INTEGER NOT NULL,
    updated     INTEGER NOT NULL
) STRICT;
-- Finds the work that is not done.
CREATE INDEX task_open ON task (row) WHERE state = 0;

-- Keys and hashes that the store keeps for the binary.
CREATE TABLE key (
    name    TEXT NOT NULL PRIMARY KEY,
    value   BLOB NOT NULL,            -- sealed; its place is (key, name, 0)
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who changed what.
CREATE TABLE audit (
    row          INTEGER PRIMARY KEY,
    at           INTEGER NOT NULL,
    organisation BLOB NOT NULL CHECK (length(organisation) = 20),
    actor        TEXT NOT NULL,
    action       TEXT NOT NULL,
    subject      TEXT NOT NULL,
    detail       TEXT
) STRICT;
-- Lists an organisation's lines by age.
CREATE INDEX audit_organisation ON audit (organisation, row);
