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
raise_epoch(denied_for)
if denied_for > 0 then
  -- With the 5 seconds that an issuer's clock may be ahead: a token it gave just before must not look younger than this.
  redis.call('SET', base .. 'n', string.format('%.0f', clock[1] + 5), 'PX', denied_for)
end
tell('u', tag)
remember(attempt, ended)
return answer('ended', ended)
