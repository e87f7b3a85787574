-- Who carries a run on: the tables, types and functions of procrastinate 3.4 to 3.10, beside our own.
SET LOCAL search_path = jan;
-- include procrastinate/sql/schema.sql
-- Its functions name its tables without a schema, and are called from sessions that look elsewhere.
DO $$
DECLARE
    one regprocedure;
BEGIN
    FOR one IN SELECT oid FROM pg_catalog.pg_proc
        WHERE pronamespace = 'jan'::regnamespace AND proname LIKE 'procrastinate\_%'
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = jan, pg_temp', one);
    END LOOP;
END;
$$;
