-- The shared store's first form.
--
-- An at sign stands for the schema. Ids are 20 bytes and sort by time; times are microseconds since 1970, UTC. Everything
-- that a CHECK says is an invariant that our code keeps; a violation is a defect of ours, never a stranger's. References
-- are kept by code and not by foreign keys, which would lock a row of the parent for every row of the hot path.
--
-- What grows with the messages (message, ended, attempt) is partitioned by range of the message's id, a day each, so that
-- a day leaves by DROP. What is owed is in a small table of its own, so that claims look in one place, however many days
-- are kept. Storage parameters of partitions are given where they are made, because a partitioned table has none.

-- Single values: the check value of `main_secret`, the highest id that is remembered beyond its row.
CREATE TABLE @meta (
    name  text PRIMARY KEY,
    value bytea NOT NULL
);

-- Lives of nodes. A lease names one. Written every few seconds; a page with room takes the new versions without touching
-- the index.
CREATE TABLE @node (
    incarnation bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL,
    started     bigint NOT NULL,
    heartbeat   bigint NOT NULL,
    stopped     bigint
) WITH (fillfactor = 50);
-- Finds a node's former and later lives.
CREATE INDEX node_name ON @node (name, incarnation);

-- The highest id that a part of an incarnation has written where no index would find it. One row for each part that
-- writes by itself, so that two of them never wait for each other.
CREATE TABLE @mark (
    incarnation bigint NOT NULL,
    part        smallint NOT NULL,
    highest     bytea NOT NULL CHECK (octet_length(highest) = 20),
    PRIMARY KEY (incarnation, part)
) WITH (fillfactor = 50);

CREATE TABLE @application (
    id            bytea PRIMARY KEY CHECK (octet_length(id) = 20),
    organisation  bytea NOT NULL CHECK (octet_length(organisation) = 20),
    uid           text,
    name          text NOT NULL,
    metadata      text,               -- JSON object; NULL is empty
    rate_limit    text,
    require_https boolean,
    declared_kind text,
    declared_file text,
    revision      bigint NOT NULL CHECK (revision > 0),
    created       bigint NOT NULL,
    updated       bigint NOT NULL,
    archived      bigint,
    CHECK ((declared_kind IS NULL) = (declared_file IS NULL))
) WITH (fillfactor = 70);             -- the revision grows in place
-- Keeps the uid rule, and finds an application by its uid.
CREATE UNIQUE INDEX application_uid ON @application (organisation, uid) WHERE uid IS NOT NULL AND archived IS NULL;
-- Lists an organisation's applications.
CREATE INDEX application_organisation ON @application (organisation, id) WHERE archived IS NULL;

-- The present form of an endpoint, without its settings: those are in the endpoint_revision that `revision` names.
CREATE TABLE @endpoint (
    id            bytea PRIMARY KEY CHECK (octet_length(id) = 20),
    application   bytea NOT NULL,
    uid           text,
    revision      bigint NOT NULL CHECK (revision > 0),
    status        smallint NOT NULL CHECK (status BETWEEN 0 AND 2),  -- enabled, disabled, archived
    reason        smallint,                                       -- of disabled
    since         bigint,                                         -- of disabled and archived
    failing_since bigint,
    declared_kind text,
    declared_file text,
    declared_disabled boolean,        -- what the file last said; only a file that says something else switches it
    created       bigint NOT NULL,
    updated       bigint NOT NULL,
    CHECK ((status = 1) = (reason IS NOT NULL)),
    CHECK ((status = 0) = (since IS NULL)),
    CHECK ((declared_kind IS NULL) = (declared_file IS NULL))
) WITH (fillfactor = 70);             -- since when it fails is noted in place
-- Keeps the uid rule.
CREATE UNIQUE INDEX endpoint_uid ON @endpoint (application, uid) WHERE uid IS NOT NULL AND status <> 2;
-- Lists an application's endpoints for a fan-out.
CREATE INDEX endpoint_application ON @endpoint (application, id);
-- Walks the endpoints that may have due work, in the order in which they are listed.
CREATE INDEX endpoint_enabled ON @endpoint (id) WHERE status = 0;
-- Finds the endpoints whose pending deliveries are held or to be cancelled, among many that are enabled.
CREATE INDEX endpoint_off ON @endpoint (id) WHERE status <> 0;

-- What a fan-out at a revision of the application saw; append-only, so that a decision can be explained later.
CREATE TABLE @endpoint_revision (
    endpoint      bytea NOT NULL,
    revision      bigint NOT NULL CHECK (revision > 0),
    status        smallint NOT NULL CHECK (status BETWEEN 0 AND 2),
    reason        smallint,
    since         bigint,
    declared_kind text,
    declared_file text,
    updated       bigint NOT NULL,
    settings      bytea NOT NULL,     -- sealed; its place is (endpoint_revision, endpoint's id, revision)
    PRIMARY KEY (endpoint, revision),
    CHECK ((status = 1) = (reason IS NOT NULL)),
    CHECK ((status = 0) = (since IS NULL))
);

-- Which endpoints changed, for the nodes that keep what they read of them. Written under one lock, so that cursors become
-- visible in their order and whoever has read one has missed none below it.
CREATE TABLE @change (
    cursor   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    endpoint bytea NOT NULL,
    at       bigint NOT NULL
);

-- The order of acceptance. Ordered deliveries draw from it under a lock that lasts until they are committed.
CREATE SEQUENCE @message_seq;

-- Accepted events.
CREATE TABLE @message (
    id           bytea NOT NULL CHECK (octet_length(id) = 20),
    seq          bigint NOT NULL,
    organisation bytea NOT NULL,
    application  bytea NOT NULL,
    accepted     bigint NOT NULL,
    expires      bigint NOT NULL,
    revision     bigint NOT NULL,
    origin       smallint NOT NULL,
    origin_name  text,                -- a source's name; the id of what was edited
    deliver_at   bigint,
    event_type   text NOT NULL,
    event_id     text,
    event_time   text,                -- the text it came as
    channels     text,                -- one a line; NULL is none
    tags         text,                -- one a line; NULL is none
    content_type text,                -- NULL is application/json
    kept_headers text,                -- JSON array of pairs; NULL is none
    targets      bytea,               -- ids of 20 bytes each; NULL is no restriction
    payload      bytea                -- NULL is expunged
) PARTITION BY RANGE (id);
-- The id holds the partition, so this keeps it unique over all of them.
ALTER TABLE @message ADD CONSTRAINT message_pkey PRIMARY KEY (id);
-- Lists an application's messages by age.
CREATE INDEX message_application ON @message (application, id);
-- Finds what pruning may take one by one, and whether a whole day is over.
CREATE INDEX message_expires ON @message (expires, id);
-- Finds a message by the publisher's own id; rows without one cost nothing.
CREATE INDEX message_event_id ON @message (application, event_id) WHERE event_id IS NOT NULL;

-- The queue: deliveries that owe an attempt (pending, leased) and delivered ones that owe an extra one. Not partitioned:
-- it is as large as what is open, and every claim looks here. A delivery is here or in `ended`, never in both.
-- Every row is updated once and deleted once, so dead rows come as fast as work: vacuum after a fixed number of them,
-- however large the table is, and without pauses. Statistics follow as closely, because the table's size swings.
CREATE TABLE @owed (
    message   bytea NOT NULL,
    endpoint  bytea NOT NULL,
    seq       bigint NOT NULL,
    state     smallint NOT NULL CHECK (state BETWEEN 0 AND 1),     -- open (pending, leased), delivered
    due       bigint NOT NULL,
    holder    bigint,
    waits     boolean NOT NULL,                                   -- an earlier one with the same order key is open
    order_key bigint,
    charged   integer NOT NULL,
    round     integer NOT NULL,
    variant   smallint NOT NULL,
    manual    boolean NOT NULL,                                   -- the next attempt's trigger is by hand
    bytes     integer NOT NULL,                                   -- of the payload; -1 when it was expunged
    PRIMARY KEY (message, endpoint),
    CHECK (NOT waits OR (state = 0 AND order_key IS NOT NULL))
) WITH (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 50000,
    autovacuum_analyze_scale_factor = 0.05, autovacuum_analyze_threshold = 10000
);
-- Claims: an endpoint's longest due that wait for nothing. What is accepted as leased and delivered never enters it. The
-- state is in it so that what is pending can be counted without the extra attempts.
CREATE INDEX owed_due ON @owed (endpoint, waits, due, seq, state) WHERE holder IS NULL;
-- Rescue, and what a node holds: as small as what is in flight. The state is in it for counting, too.
CREATE INDEX owed_holder ON @owed (holder, message, endpoint, state) WHERE holder IS NOT NULL;
-- Order: the first open delivery of a key. Rows without a key cost nothing.
CREATE INDEX owed_order ON @owed (endpoint, order_key, seq) WHERE order_key IS NOT NULL AND state = 0;

-- Deliveries that owe nothing: delivered, failed, cancelled. Written once and read seldom.
CREATE TABLE @ended (
    message   bytea NOT NULL,
    endpoint  bytea NOT NULL,
    seq       bigint NOT NULL,
    state     smallint NOT NULL CHECK (state BETWEEN 1 AND 3),     -- delivered, failed, cancelled
    reason    smallint,                                           -- of failed and cancelled
    order_key bigint,
    charged   integer NOT NULL,
    round     integer NOT NULL,
    variant   smallint NOT NULL,
    CHECK ((state >= 2) = (reason IS NOT NULL))
) PARTITION BY RANGE (message);
-- Lists a message's deliveries.
ALTER TABLE @ended ADD CONSTRAINT ended_pkey PRIMARY KEY (message, endpoint);

-- The log; append-only. Partitioned by its message, so that it goes with it.
CREATE TABLE @attempt (
    id               bytea NOT NULL CHECK (octet_length(id) = 20),
    message          bytea NOT NULL,
    endpoint         bytea NOT NULL,
    application      bytea NOT NULL,
    trigger          smallint NOT NULL,
    outcome          smallint NOT NULL,
    started          bigint NOT NULL,
    dns              bigint,
    connect          bigint,
    tls              bigint,
    first_byte       bigint,
    total            bigint NOT NULL,
    status           integer,
    detail           text,
    rule             text,
    hint             text,
    peer             text,            -- an address with its port, or `proxy ` and a name
    url              text NOT NULL,
    request_headers  text NOT NULL,
    response_headers text,
    truncated        boolean,
    body             bytea,
    CHECK ((status IS NULL) = (response_headers IS NULL)),
    CHECK ((status IS NULL) = (truncated IS NULL)),
    CHECK ((status IS NULL) = (body IS NULL))
) PARTITION BY RANGE (message);
-- Lists a message's attempts by age, and tells one that is recorded again.
ALTER TABLE @attempt ADD CONSTRAINT attempt_pkey PRIMARY KEY (message, id);
-- Lists an endpoint's attempts by age.
CREATE INDEX attempt_endpoint ON @attempt (endpoint, id);
-- Lists an application's attempts by age, and finds one by its id.
CREATE INDEX attempt_application ON @attempt (application, id);

-- Counts for an endpoint and a minute (minutes since 1970). Each incarnation has rows of its own, so that nodes which
-- deliver to the same endpoint never wait for each other; a page with room takes the new versions in place.
CREATE TABLE @rollup (
    endpoint    bytea NOT NULL,
    minute      bigint NOT NULL,
    incarnation bigint NOT NULL,
    outcomes    bigint[] NOT NULL,    -- by the outcome's number
    latency     bigint[] NOT NULL,    -- by bucket
    PRIMARY KEY (endpoint, minute, incarnation)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01);
-- Finds what pruning may take.
CREATE INDEX rollup_minute ON @rollup (minute);

-- Keys that only one message of an application may have. Not partitioned: they must be unique over all days.
CREATE TABLE @dedupe (
    application bytea NOT NULL,
    kind        smallint NOT NULL,
    key         text NOT NULL,
    message     bytea NOT NULL,
    fingerprint bytea,
    expires     bigint,               -- NULL: for as long as the message is kept
    PRIMARY KEY (application, kind, key)
) WITH (autovacuum_vacuum_scale_factor = 0.02);  -- a day's keys go at once; their room is wanted again the same day
-- Finds a message's keys when it is pruned, and a day's.
CREATE INDEX dedupe_message ON @dedupe (message);
-- Finds keys that ran out.
CREATE INDEX dedupe_expires ON @dedupe (expires) WHERE expires IS NOT NULL;

-- Inbound doors.
CREATE TABLE @source (
    id            bytea PRIMARY KEY CHECK (octet_length(id) = 20),
    organisation  bytea NOT NULL CHECK (octet_length(organisation) = 20),
    application   bytea NOT NULL,
    name          text NOT NULL,
    dialect       text NOT NULL,
    revision      bigint NOT NULL,
    settings      bytea NOT NULL,     -- sealed; its place is (source, id, revision)
    declared_kind text,
    declared_file text,
    created       bigint NOT NULL,
    updated       bigint NOT NULL,
    archived      bigint,
    CHECK ((declared_kind IS NULL) = (declared_file IS NULL))
);
CREATE UNIQUE INDEX source_name ON @source (name) WHERE archived IS NULL;

-- Requests that a source did not let in, and why.
CREATE TABLE @refusal (
    row     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source  bytea NOT NULL,
    at      bigint NOT NULL,
    rule    text NOT NULL,
    why     text NOT NULL,
    peer    text,
    headers text NOT NULL,
    bytes   bigint NOT NULL
);
-- Lists a source's refusals by age and finds those beyond what is kept.
CREATE INDEX refusal_source ON @refusal (source, row);

-- Rules that make something happen at times.
CREATE TABLE @job (
    row         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- the small integer by which Kai's doors name it
    id          bytea NOT NULL UNIQUE CHECK (octet_length(id) = 20),
    application bytea NOT NULL,
    name        text NOT NULL,
    rule        text NOT NULL,        -- JSON
    event_type  text NOT NULL,
    payload     bytea NOT NULL,
    next        bigint,               -- NULL: over, or switched off
    last        bigint,
    created     bigint NOT NULL,
    updated     bigint NOT NULL,
    archived    bigint
);
-- Finds what is to be fired.
CREATE INDEX job_next ON @job (next) WHERE next IS NOT NULL;

-- Long work in the background.
CREATE TABLE @task (
    id          bytea PRIMARY KEY CHECK (octet_length(id) = 20),
    application bytea NOT NULL,
    kind        text NOT NULL,
    arguments   text NOT NULL,        -- JSON
    state       smallint NOT NULL CHECK (state BETWEEN 0 AND 3),  -- open, done, failed, cancelled
    cursor      bytea,
    done        bigint NOT NULL,
    cancel      boolean NOT NULL,
    detail      text,
    created     bigint NOT NULL,
    updated     bigint NOT NULL
);
-- Finds the work that is not done.
CREATE INDEX task_open ON @task (id) WHERE state = 0;

-- Keys and hashes that the store keeps for the binary.
CREATE TABLE @key (
    name    text PRIMARY KEY,
    value   bytea NOT NULL,           -- sealed; its place is (key, name, 0)
    created bigint NOT NULL
);

-- Who changed what.
CREATE TABLE @audit (
    row          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at           bigint NOT NULL,
    organisation bytea NOT NULL CHECK (octet_length(organisation) = 20),
    actor        text NOT NULL,
    action       text NOT NULL,
    subject      text NOT NULL,
    detail       text
);
-- Lists an organisation's lines by age.
CREATE INDEX audit_organisation ON @audit (organisation, row);
