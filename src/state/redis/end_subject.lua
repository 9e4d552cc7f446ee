-- Ends all sessions of a subject and raises its epoch. A foreign subject has no sessions here: `denied_for` denies what its
-- issuer gave it until now.
local tag, denied_for, attempt = ARGV[1], tonumber(ARGV[2]), ARGV[3]
if late() then return answer('late') end
local told = remembered(attempt)
if told then return answer('ended', tonumber(told)) end
local ended = 0
for _, sid in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if drop(sid) then ended = ended + 1 end
end
-- The store's milliseconds, or one more than before: it rises even where the old value had expired or the clock went back.
local before = tonumber(redis.call('GET', base .. 'e') or '0')
local life = math.max(redis.call('PTTL', base .. 'e'), denied_for, 86400000)
redis.call('SET', base .. 'e', string.format('%.0f', math.max(before + 1, now)), 'PX', life)
if denied_for > 0 then
  -- With the 5 seconds that an issuer's clock may be ahead: a token it gave just before must not look younger than this.
  redis.call('SET', base .. 'n', string.format('%.0f', clock[1] + 5), 'PX', denied_for)
end
tell('u', tag)
remember(attempt, ended)
return answer('ended', ended)
