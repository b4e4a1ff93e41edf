-- What each driver has made a partition keep and work, so that bounds hold across a restart. One JSON text for each driver.

CREATE TABLE accounts (
    log    TEXT COLLATE "C" NOT NULL,
    part   BIGINT           NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    driver TEXT COLLATE "C" NOT NULL,
    body   TEXT             NOT NULL,
    PRIMARY KEY (log, part, tenant, driver)
) WITH (fillfactor = 50);
