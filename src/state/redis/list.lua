-- Reads sessions: the named ones, or all of the subject, oldest first. Changes nothing.
local wanted = #ARGV > 0 and ARGV or redis.call('ZRANGE', KEYS[1], 0, -1)
local found = {}
for _, sid in ipairs(wanted) do
  found[#found + 1] = view(sid)
end
return answer('list', found)
