-- Shared by all steps; `scripts.rs` puts it before each. KEYS[1] is the subject's index of sessions, whose name gives the
-- prefix of everything else of that subject: one hash tag, so one slot. KEYS[2] is the revocation log and KEYS[3] the
-- not-before mark; a cluster keeps them in another slot, where a script may not reach: it gives neither, and the mark as the
-- first argument. Time is the store's own, never a caller's (SEC-R2).
local base = string.sub(KEYS[1], 1, -2)
local log = KEYS[2]
local mark
if log then mark = redis.call('GET', KEYS[3]) else mark = table.remove(ARGV, 1) end
mark = tonumber(mark or '0')
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- Tells every checker, in the same step as the end itself. On a cluster it leaves a debt, which the caller pays by writing
-- the log and then clearing it; whoever next works on this subject pays it where the caller could not.
local function tell(kind, id)
  if log then
    redis.call('XADD', log, 'MAXLEN', '~', LOG_LENGTH, '*', kind, id)
  else
    redis.call('SET', base .. 'z', '1', 'PX', 86400000)
  end
end

local function answer(status, ...)
  local owed = (not log and redis.call('EXISTS', base .. 'z') == 1) and 1 or 0
  return { owed, now, status, ... }
end

-- Whether the caller has stopped waiting, as the last argument of some steps says in the store's time. A copy that was long
-- on its way, behind a cut or in the buffers of a stopped server, would else be taken for a replay of a refresh token, open
-- a session for nobody, or end sessions that were opened since.
local function late()
  return now > tonumber(ARGV[#ARGV])
end

-- What a call has done is remembered for a minute under the call's own name: sent again after its answer was lost it gets
-- the same answer, so that an end is told once, neither never nor twice.
local function remember(attempt, what)
  redis.call('SET', base .. 'x:' .. attempt, what, 'PX', REMEMBER_MS)
end

local function remembered(attempt)
  return redis.call('GET', base .. 'x:' .. attempt)
end

-- Whether a session is of after the mark, as its field `n` says; a session from before there was a mark has none.
local function is_today(under)
  return tonumber(under or '0') >= mark
end

local function lives(sid)
  local field = redis.call('HMGET', base .. 's:' .. sid, 'u', 'n')
  return field[1] and is_today(field[2])
end

-- Ends a session; true where it was live.
local function drop(sid)
  local live = lives(sid)
  redis.call('ZREM', KEYS[1], sid)
  redis.call('DEL', base .. 's:' .. sid)
  return live
end

-- Lets a key live on until `at` at least.
local function keep(key, at)
  if now + math.max(redis.call('PTTL', key), 0) < at then
    redis.call('PEXPIREAT', key, at)
  end
end

-- The subject's epoch. It outlives every session, so a live session without one means that the store lost it: it is then
-- begun anew, above any that was handed out before.
local function epoch(ends)
  local value = redis.call('GET', base .. 'e')
  if not value then
    value = string.format('%.0f', now)
    redis.call('SET', base .. 'e', value)
  end
  keep(base .. 'e', ends + 86400000)
  return value
end

-- Refuses every access token that the subject holds. The store's milliseconds, or one more than before: it rises even where
-- the old value had expired or the clock went back.
local function raise_epoch(keep_for)
  local before = tonumber(redis.call('GET', base .. 'e') or '0')
  local life = math.max(redis.call('PTTL', base .. 'e'), keep_for, 86400000)
  redis.call('SET', base .. 'e', string.format('%.0f', math.max(before + 1, now)), 'PX', life)
end

-- A session as `codec.rs` reads it; nil where none is live.
local function view(sid, given_epoch)
  local key = base .. 's:' .. sid
  local field = redis.call('HMGET', key, 'u', 'k', 'r', 'c', 'm', 'g', 'b', 't', 'i', 'x', 'a', 'p', 'n')
  if not field[1] or not is_today(field[13]) then return nil end
  field[13] = field[13] or '0'
  local expires = now + math.max(redis.call('PTTL', key), 0)
  return { sid, given_epoch or redis.call('GET', base .. 'e') or '0', expires, now, unpack(field) }
end
