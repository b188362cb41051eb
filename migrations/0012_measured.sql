-- When a claimed call was due, for whoever measures how long it waited.
-- Nothing stores this type: it is what the parts of a claim hand each other.
alter type pgdial.claimed add attribute run_at timestamptz;
