comment on column ops.job_attempts.request_count is 'Requests that the try sent for its crawl run; tokens and looks at limits serve all runs and count for none.';
comment on column analytics.collection_runs_v1.request_count is 'Requests sent for the run, of those a plan counts; tokens and looks at limits serve all runs and count for none.';
