create schema raw;
create schema core;
create schema ops;
create schema ml;
create schema analytics;

comment on schema raw is 'Answers of the marketplaces, verbatim, and the rows of them that could not be read.';
comment on schema core is 'What the answers say, normalised: keywords, their observations, listings, search results pages.';
comment on schema ops is 'How the data came here: schedules, crawl runs, jobs, attempts, dead letters.';
comment on schema ml is 'Model versions, competition scores and predictions.';
comment on schema analytics is 'What people query: versioned views, changed only by adding.';
