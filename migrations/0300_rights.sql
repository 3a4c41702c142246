-- Rights: nobody but the owner may do anything, until he is granted functions.
--
-- The functions that others call run with the rights of their owner, so that nobody else needs a right on a table: a
-- producer can spawn, but neither read a payload nor write past the checks. That is sound because every function pins its
-- search path, and as safe as the schema is: whoever may create functions in it can put one in the place of another.
-- The grants for each role are in docs/operations.md.
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

do $$
declare
  called text;
  any_function regprocedure;
begin
  foreach called in array array[
    -- producer
    'mq_spawn', 'mq_spawn_one', 'mq_spawn_all', 'mq_spawn_all_at', 'mq_commit', 'mq_exists',
    -- runner
    'mq_register', 'mq_renew', 'mq_audit', 'mq_unregister', 'mq_claim_by_name', 'mq_claim_by_channel', 'mq_payloads', 'mq_complete',
    'mq_complete_and_claim', 'mq_fail', 'mq_fail_as', 'mq_release', 'mq_checkpoint', 'mq_keep_alive', 'mq_promote', 'mq_runners_seen', 'mq_reap', 'mq_reap_jobs',
    'mq_refresh_counts', 'mq_sleep', 'mq_awaken', 'mq_in_flight', 'mq_wake_channel',
    -- operator and viewer
    'mq_cancel', 'mq_clear', 'mq_clear_all', 'mq_requeue', 'mq_discard', 'mq_dead_jobs', 'mq_job_errors', 'mq_counts'
  ] loop
    execute format('alter function %I security definer', called);
  end loop;
  -- New functions are open to everybody by default.
  for any_function in
    select p.oid
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname = current_schema() and p.proname like 'mq\_%'
  loop
    execute format('revoke execute on function %s from public', any_function);
  end loop;
end $$;
