-- A backtest is told by class of history too, and so is the decision.

comment on column ml.model_versions.metrics is 'Backtest errors and coverage by horizon and by class of history, beside seasonal naive on the same origins.';
comment on column ml.model_versions.decision is 'Whether it was to be champion after its training, why, and by which comparisons: all in all, by class of history, and of how often its intervals held.';
