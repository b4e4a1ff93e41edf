-- Leagues (D1): what people decided, and what is stored with it. What the tables mean is in store/src/lib.rs, contract of `Leagues`.
--
-- Bodies are canonical JSON whose bytes are hashed, so they are text that no database may write in another form. Digests have 32 bytes.
-- REPLACE fires no trigger for the row that it removes, so triggers before an INSERT refuse keys that are there.

-- The last act of each league: the lock of its writers, and what each request asks for.
CREATE TABLE league_heads (
    tenant TEXT   NOT NULL,
    league TEXT   NOT NULL,
    seq    BIGINT NOT NULL,
    hash   BLOB   NOT NULL,
    PRIMARY KEY (tenant, league)
) WITHOUT ROWID;

-- Append-only.
CREATE TABLE league_ledger (
    tenant   TEXT   NOT NULL,
    league   TEXT   NOT NULL,
    seq      BIGINT NOT NULL,
    at_us    BIGINT NOT NULL,
    actor    TEXT   NOT NULL,
    kind     TEXT   NOT NULL,
    previous BLOB   NOT NULL,
    hash     BLOB   NOT NULL,
    body     TEXT   NOT NULL,
    PRIMARY KEY (tenant, league, seq),
    CHECK (seq > 0)
);
CREATE TRIGGER league_ledger_update BEFORE UPDATE ON league_ledger
BEGIN SELECT RAISE(ABORT, 'acts of a league are never changed: a new act corrects an old one'); END;
CREATE TRIGGER league_ledger_delete BEFORE DELETE ON league_ledger
BEGIN SELECT RAISE(ABORT, 'acts of a league are never removed: a new act corrects an old one'); END;
CREATE TRIGGER league_ledger_replace BEFORE INSERT ON league_ledger
WHEN EXISTS (SELECT 1 FROM league_ledger WHERE tenant = NEW.tenant AND league = NEW.league AND seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'acts of a league are never replaced: a new act corrects an old one'); END;

-- Projections: computed from the ledger, and computed again whenever that is wanted.
CREATE TABLE league_docs (
    tenant TEXT   NOT NULL,
    league TEXT   NOT NULL,
    kind   TEXT   NOT NULL,
    id     TEXT   NOT NULL,
    seq    BIGINT NOT NULL,
    body   TEXT   NOT NULL,
    PRIMARY KEY (tenant, league, kind, id)
);

-- Names and free text: the only personal text of leagues, and the only rows that may be removed.
CREATE TABLE league_texts (
    tenant TEXT NOT NULL,
    league TEXT NOT NULL,
    id     BLOB NOT NULL,
    owner  TEXT NOT NULL,
    salt   BLOB NOT NULL,
    text   TEXT NOT NULL,
    PRIMARY KEY (tenant, league, id, owner)
);
CREATE INDEX league_texts_owned ON league_texts (tenant, league, owner, id);
CREATE TRIGGER league_texts_update BEFORE UPDATE ON league_texts
BEGIN SELECT RAISE(ABORT, 'texts of a league are removed, never changed: their ids are digests'); END;

-- What was published. Never changed, never removed.
CREATE TABLE league_revisions (
    tenant     TEXT   NOT NULL,
    league     TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    number     BIGINT NOT NULL,
    state      TEXT   NOT NULL,
    seq        BIGINT NOT NULL,
    at_us      BIGINT NOT NULL,
    digest     BLOB   NOT NULL,
    facts      BLOB   NOT NULL,
    rules      BLOB   NOT NULL,
    -- Empty: none.
    reason     BLOB   NOT NULL,
    difference TEXT   NOT NULL,
    body       TEXT   NOT NULL,
    PRIMARY KEY (tenant, league, kind, id, number)
);
CREATE TRIGGER league_revisions_update BEFORE UPDATE ON league_revisions
BEGIN SELECT RAISE(ABORT, 'what was published is never changed: publish a new revision'); END;
CREATE TRIGGER league_revisions_delete BEFORE DELETE ON league_revisions
BEGIN SELECT RAISE(ABORT, 'what was published is never removed: publish a new revision'); END;
CREATE TRIGGER league_revisions_replace BEFORE INSERT ON league_revisions
WHEN EXISTS (SELECT 1 FROM league_revisions
             WHERE tenant = NEW.tenant AND league = NEW.league AND kind = NEW.kind AND id = NEW.id AND number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'what was published is never replaced: publish a new revision'); END;

-- Facts that results were computed from, by digest. Never changed, never removed.
CREATE TABLE league_facts (
    tenant TEXT NOT NULL,
    league TEXT NOT NULL,
    digest BLOB NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (tenant, league, digest)
);
CREATE TRIGGER league_facts_update BEFORE UPDATE ON league_facts
BEGIN SELECT RAISE(ABORT, 'facts that results were computed from are never changed'); END;
CREATE TRIGGER league_facts_delete BEFORE DELETE ON league_facts
BEGIN SELECT RAISE(ABORT, 'facts that results were computed from are never removed'); END;
CREATE TRIGGER league_facts_replace BEFORE INSERT ON league_facts
WHEN EXISTS (SELECT 1 FROM league_facts WHERE tenant = NEW.tenant AND league = NEW.league AND digest = NEW.digest)
BEGIN SELECT RAISE(ABORT, 'facts that results were computed from are never replaced'); END;

-- Answers to requests of about the last day, so that a request that comes again is not done again.
CREATE TABLE league_keys (
    tenant  TEXT   NOT NULL,
    league  TEXT   NOT NULL,
    actor   TEXT   NOT NULL,
    key     TEXT   NOT NULL,
    at_us   BIGINT NOT NULL,
    request BLOB   NOT NULL,
    answer  TEXT   NOT NULL,
    PRIMARY KEY (tenant, league, actor, key)
);
CREATE INDEX league_keys_old ON league_keys (tenant, league, at_us);
