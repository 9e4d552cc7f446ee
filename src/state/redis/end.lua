-- Ends one session; with a salt, only the session that has it.
local sid, salt = ARGV[1], ARGV[2]
if salt ~= '' and redis.call('HGET', base .. 's:' .. sid, 'd') ~= salt then return answer('none') end
if not drop(sid) then return answer('none') end
tell('s', sid)
return answer('ended')
