-- The not-before mark: everyone's sessions that were opened under a lower one have ended. See src/state/mark.rs.

ALTER TABLE state_store ADD COLUMN mark INTEGER NOT NULL DEFAULT 0;
ALTER TABLE state_session ADD COLUMN mark INTEGER NOT NULL DEFAULT 0;
