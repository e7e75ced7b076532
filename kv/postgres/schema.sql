-- The schema of a store, format 1. {s} is its name, quoted.
--
-- Keys are bytea: compared byte by byte, whatever the collation of the database.

create table {s}.meta (
  one      boolean primary key default true check (one),
  format   int not null,
  class    int not null,         -- even; class of the advisory locks of keys, class + 1 of claims
  epoch    int not null,         -- first part of positions in logs; grows when xids may begin anew
  system   text not null,        -- the cluster that x of all rows counts in
  timeline text not null,        -- of that cluster when the last node came; another one after a fail-over
  clock    timestamptz not null, -- a time that some node has told, at most a few seconds ago
  server   timestamptz not null  -- the server's clock at that moment
);

-- Rows are rewritten in place (nothing but k is indexed, so updates are HOT while the page has room: hence the fillfactor).
-- Values are not compressed: most are small, large ones are compressed by those who write them, and pglz would cost more
-- than all else. Up to 4 KB they stay in the row; beyond, out of line.
create table {s}.kv (
  k bytea not null primary key,
  x xid8  not null, -- who wrote it last: its version
  v bytea not null
) with (fillfactor = 85, toast_tuple_target = 4080,
  -- Queues, leases and counters live on few keys and leave a dead row at each step: vacuum early, and in small steps.
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 1,
  autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.2);
alter table {s}.kv alter v set storage external;

-- The version of absent keys: who was the last to delete one of a stripe.
create table {s}.gone (
  s int  not null primary key,
  x xid8 not null
) with (fillfactor = 25, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 4000, autovacuum_vacuum_cost_delay = 1);
insert into {s}.gone select s, '0' from generate_series(0, 4095) s;

create table {s}.log (
  l bytea  not null,
  e int    not null,
  x xid8   not null,
  i bigint not null,
  v bytea  not null,
  primary key (l, e, x, i)
) with (toast_tuple_target = 4080, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 1, autovacuum_vacuum_insert_scale_factor = 0.1);
alter table {s}.log alter v set storage external;

-- Up to where logs were trimmed.
create table {s}.trim (
  l bytea  not null primary key,
  e int    not null,
  x xid8   not null,
  i bigint not null
);

-- The last commit of each connection: what a lost answer is asked for. n stands in the key so that a commit finds its
-- row at once, however many dead versions an old snapshot keeps of it.
create table {s}.token (
  s  bigint not null,
  n  bigint not null, -- -1: somebody waits for no more commits of this connection, and none will come
  at timestamptz not null,
  primary key (s, n)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 1);

-- Where claimed ranges begin: no key stands in [r, low), whoever asks. Dead rows there would have to be walked over by each claim,
-- and while an old snapshot is kept they all stay.
--
-- A mark moves in two steps, for a commit that is under way may insert below and not have seen it. First next is proposed; from then
-- on commits that insert below lower both. When all transactions have ended that may have looked before (ready), what stands
-- below next is looked for once more, and low moves. Marks do not overlap up to the higher of the two.
create table {s}.mark (
  r     bytea not null primary key, -- where the range begins
  low   bytea not null,
  next  bytea not null,
  ready xid8,                       -- null: the proposal was not seen by its second look yet
  at    timestamptz not null default now()
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- A node's connection begins. Whoever is the first after a fail-over begins an epoch, before any commit there.
create function {s}.enter(p_slot bigint) returns int language plpgsql as $$
declare
  line text := substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8);
begin
  if exists (select from {s}.meta where timeline <> line) then
    update {s}.meta set timeline = line, epoch = epoch + 1 where timeline <> line;
  end if;
  insert into {s}.token values (p_slot, 0, now());
  return (select class from {s}.meta);
end $$;

-- Locks, validates, writes. The snapshot that absent keys were read from stands in the setting rouse.snapshot. 0: done. Otherwise nothing was written: n > 0: the n-th key that was read has changed; -1: a
-- stripe is held by others; -2: one of the keys read as absent may have come and gone.
create function {s}.finish(p_class int, p_locks int[], p_tries int[], p_slot bigint, p_seq bigint,
  p_rk bytea[], p_rx xid8[], p_absent int[], p_dk bytea[], p_ds int[], p_sk bytea[], p_sv bytea[], p_ln bytea[], p_lv bytea[])
returns int language plpgsql as $$
declare
  bad int;
  me xid8;
begin
  if p_locks is not null then
    perform case when l & 1 = 1 then pg_advisory_xact_lock(p_class, l >> 1) else pg_advisory_xact_lock_shared(p_class, l >> 1) end
      from unnest(p_locks) l;
  end if;
  if p_tries is not null and exists (select from unnest(p_tries) l where not case when l & 1 = 1
      then pg_try_advisory_xact_lock(p_class, l >> 1) else pg_try_advisory_xact_lock_shared(p_class, l >> 1) end) then
    return -1;
  end if;
  -- Each statement from here on has a snapshot of its own, taken under the locks.
  if p_rk is not null then
    select min(t.i) into bad from unnest(p_rk, p_rx) with ordinality t(k, x, i) left join {s}.kv on kv.k = t.k
      where kv.x is distinct from t.x;
    if bad is not null then
      return bad;
    end if;
  end if;
  if p_absent is not null and exists (select from {s}.gone g where g.s = any(p_absent)
      and not pg_visible_in_snapshot(g.x, current_setting('rouse.snapshot')::pg_snapshot)) then
    return -2;
  end if;
  update {s}.token set n = p_seq, at = now() where s = p_slot and n = p_seq - 1;
  if not found then
    raise exception 'this attempt was given up' using errcode = 'RK001';
  end if;
  me := pg_current_xact_id();
  if p_dk is not null then
    delete from {s}.kv where k = any(p_dk);
    if found then
      update {s}.gone set x = me where s = any(p_ds);
    end if;
  end if;
  if p_sk is not null then
    if exists (select from unnest(p_sk) t(k) where (select t.k < low or t.k < next from {s}.mark where r <= t.k order by r desc limit 1)) then
      update {s}.mark m set low = least(m.low, n.k), next = least(m.next, n.k)
        from (select c.r, (array_agg(t.k order by t.k))[1] k from unnest(p_sk) t(k) cross join lateral
          (select r, low, next from {s}.mark where r <= t.k order by r desc limit 1) c where t.k < c.low or t.k < c.next group by c.r) n
        where m.r = n.r;
    end if;
    insert into {s}.kv as o (k, x, v) select t.k, me, t.v from unnest(p_sk, p_sv) t(k, v)
      on conflict (k) do update set x = excluded.x, v = excluded.v;
  end if;
  if p_ln is not null then
    insert into {s}.log select t.l, m.epoch, me, t.i - 1, t.v from unnest(p_ln, p_lv) with ordinality t(l, v, i), {s}.meta m;
  end if;
  return 0;
end $$;

-- What became of commit p_seq of a connection that was lost: 1: it is there; 0: it is not, and never will be; -1: nobody
-- knows any more. Waits for a commit that is still under way.
create function {s}.resolve(p_slot bigint, p_seq bigint) returns int language plpgsql as $$
begin
  update {s}.token set n = -1, at = now() where s = p_slot and n = p_seq - 1;
  if found then
    return 0;
  end if;
  -- Written once more: this commit waits for the standbys as that one should have.
  update {s}.token set at = now() where s = p_slot and n = p_seq;
  if found then
    return 1;
  end if;
  return case when exists (select from {s}.token where s = p_slot and n = -1) then 0 else -1 end;
end $$;

-- Holds, until the connection lets go of all, up to p_max of the first keys of a range that nobody else holds, or those of
-- p_prefer that are still there. Leaves them in the setting rouse.claimed.
create function {s}.claim(p_class int, p_from bytea, p_to bytea, p_reverse boolean, p_max int, p_prefer bytea[])
returns void language plpgsql as $$
declare
  key bytea;
  held bytea[];
begin
  if p_prefer is not null then
    foreach key in array p_prefer loop
      if pg_try_advisory_lock(p_class + 1, hashtext(encode(key, 'hex'))) then
        held := held || key;
      end if;
    end loop;
    select array_agg(k) into held from {s}.kv where k = any(held);
  end if;
  p_from := greatest(p_from, (select low from {s}.mark where r = p_from));
  while held is null loop
    if p_reverse then
      for key in select k from {s}.kv where k >= p_from and k < p_to order by k desc loop
        if pg_try_advisory_lock(p_class + 1, hashtext(encode(key, 'hex'))) then
          held := held || key;
          exit when cardinality(held) >= p_max;
        end if;
      end loop;
    else
      for key in select k from {s}.kv where k >= p_from and k < p_to order by k loop
        if pg_try_advisory_lock(p_class + 1, hashtext(encode(key, 'hex'))) then
          held := held || key;
          exit when cardinality(held) >= p_max;
        end if;
      end loop;
    end if;
    exit when held is null;
    -- The loop saw one snapshot. What another claim has taken since, and let go of, is not there any more.
    select array_agg(k) into held from {s}.kv where k = any(held);
  end loop;
  perform set_config('rouse.claimed', coalesce(held, '{}')::text, false);
end $$;

-- Moves the mark of a range one step on, after a claim that found nothing below p_first.
create function {s}.advance(p_class int, p_r bytea, p_first bytea) returns void language plpgsql as $$
declare
  m record;
  found_at bytea;
begin
  perform pg_advisory_xact_lock(p_class, -2);
  p_first := least(p_first, (select r from {s}.mark where r > p_r order by r limit 1));
  select * into m from {s}.mark where r = p_r for update;
  if not found then
    if p_first > p_r and (select count(*) from {s}.mark) < 4096
        and not exists (select from (select low, next from {s}.mark where r < p_r order by r desc limit 1) o where p_r < o.low or p_r < o.next) then
      insert into {s}.mark (r, low, next) values (p_r, p_r, p_first);
    end if;
  elsif m.ready is null then
    update {s}.mark set ready = pg_snapshot_xmax(pg_current_snapshot()), at = now() where r = p_r;
  elsif pg_snapshot_xmin(pg_current_snapshot()) >= m.ready then
    select k into found_at from {s}.kv where k >= m.low and k < m.next order by k limit 1;
    m.low := greatest(m.low, coalesce(found_at, m.next));
    update {s}.mark set low = m.low, next = greatest(m.low, p_first), ready = null, at = now() where r = p_r;
  end if;
end $$;

-- Trims a log up to a position, as far as it can be read.
create function {s}.cut(p_l bytea, p_e int, p_x xid8, p_i bigint) returns void language plpgsql as $$
declare
  he int;
  hx xid8;
begin
  select epoch, pg_snapshot_xmin(pg_current_snapshot()) into he, hx from {s}.meta;
  if (p_e, p_x) >= (he, hx) then
    p_e := he;
    p_x := (hx::text::numeric - 1)::text::xid8;
    p_i := 9223372036854775807;
  end if;
  insert into {s}.trim as t values (p_l, p_e, p_x, p_i) on conflict (l) do update set e = p_e, x = p_x, i = p_i
    where (t.e, t.x, t.i) < (p_e, p_x, p_i);
  if found then
    delete from {s}.log where l = p_l and (e, x, i) <= (p_e, p_x, p_i);
  end if;
end $$;
