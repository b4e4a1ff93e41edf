-- Leagues (D1): what people decided, and what is stored with it. What the tables mean is in store/src/lib.rs, contract of `Leagues`.
--
-- Bodies are canonical JSON whose bytes are hashed, so they are text that no database may write in another form. Digests have 32 bytes.

-- The last act of each league: the lock of its writers, and what each request asks for.
CREATE TABLE league_heads (
    tenant     TEXT COLLATE "C" NOT NULL,
    league     TEXT COLLATE "C" NOT NULL,
    seq        BIGINT           NOT NULL,
    hash       BYTEA            NOT NULL,
    PRIMARY KEY (tenant, league)
) WITH (fillfactor = 50);

-- Append-only.
CREATE TABLE league_ledger (
    tenant     TEXT COLLATE "C" NOT NULL,
    league     TEXT COLLATE "C" NOT NULL,
    seq        BIGINT           NOT NULL,
    at_us      BIGINT           NOT NULL,
    actor      TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    previous   BYTEA            NOT NULL,
    hash       BYTEA            NOT NULL,
    body       TEXT             NOT NULL,
    PRIMARY KEY (tenant, league, seq),
    CHECK (seq > 0)
);

-- Projections: computed from the ledger, and computed again whenever that is wanted.
CREATE TABLE league_docs (
    tenant     TEXT COLLATE "C" NOT NULL,
    league     TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    seq        BIGINT           NOT NULL,
    body       TEXT             NOT NULL,
    PRIMARY KEY (tenant, league, kind, id)
);

-- Names and free text: the only personal text of leagues, and the only rows that may be removed.
CREATE TABLE league_texts (
    tenant     TEXT COLLATE "C" NOT NULL,
    league     TEXT COLLATE "C" NOT NULL,
    id         BYTEA            NOT NULL,
    owner      TEXT COLLATE "C" NOT NULL,
    salt       BYTEA            NOT NULL,
    text       TEXT             NOT NULL,
    PRIMARY KEY (tenant, league, id, owner)
);
CREATE INDEX league_texts_owned ON league_texts (tenant, league, owner, id);

-- What was published. Never changed, never removed.
CREATE TABLE league_revisions (
    tenant     TEXT COLLATE "C" NOT NULL,
    league     TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    number     BIGINT           NOT NULL,
    state      TEXT             NOT NULL,
    seq        BIGINT           NOT NULL,
    at_us      BIGINT           NOT NULL,
    digest     BYTEA            NOT NULL,
    facts      BYTEA            NOT NULL,
    rules      BYTEA            NOT NULL,
    -- Empty: none.
    reason     BYTEA            NOT NULL,
    difference TEXT             NOT NULL,
    body       TEXT             NOT NULL,
    PRIMARY KEY (tenant, league, kind, id, number)
);

-- Facts that results were computed from, by digest. Never changed, never removed.
CREATE TABLE league_facts (
    tenant     TEXT COLLATE "C" NOT NULL,
    league     TEXT COLLATE "C" NOT NULL,
    digest     BYTEA            NOT NULL,
    body       TEXT             NOT NULL,
    PRIMARY KEY (tenant, league, digest)
);

-- Answers to requests of about the last day, so that a request that comes again is not done again.
CREATE TABLE league_keys (
    tenant     TEXT COLLATE "C" NOT NULL,
    league     TEXT COLLATE "C" NOT NULL,
    actor      TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,
    at_us      BIGINT           NOT NULL,
    request    BYTEA            NOT NULL,
    answer     TEXT             NOT NULL,
    PRIMARY KEY (tenant, league, actor, key)
);
CREATE INDEX league_keys_old ON league_keys (tenant, league, at_us);

CREATE FUNCTION league_rows_stay() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed or removed: %', TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER league_ledger_stays BEFORE UPDATE OR DELETE ON league_ledger
    FOR EACH ROW EXECUTE FUNCTION league_rows_stay('a new act corrects an old one');
CREATE TRIGGER league_ledger_stays_whole BEFORE TRUNCATE ON league_ledger
    EXECUTE FUNCTION league_rows_stay('a new act corrects an old one');
CREATE TRIGGER league_texts_stay BEFORE UPDATE ON league_texts
    FOR EACH ROW EXECUTE FUNCTION league_rows_stay('texts are removed as a whole, because their ids are digests');
CREATE TRIGGER league_revisions_stay BEFORE UPDATE OR DELETE ON league_revisions
    FOR EACH ROW EXECUTE FUNCTION league_rows_stay('publish a new revision');
CREATE TRIGGER league_revisions_stay_whole BEFORE TRUNCATE ON league_revisions
    EXECUTE FUNCTION league_rows_stay('publish a new revision');
CREATE TRIGGER league_facts_stay BEFORE UPDATE OR DELETE ON league_facts
    FOR EACH ROW EXECUTE FUNCTION league_rows_stay('results were computed from them');
CREATE TRIGGER league_facts_stay_whole BEFORE TRUNCATE ON league_facts
    EXECUTE FUNCTION league_rows_stay('results were computed from them');
