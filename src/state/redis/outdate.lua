-- Refuses the access tokens of a subject; its sessions live on.
local tag = ARGV[1]
raise_epoch(0)
tell('u', tag)
return answer('outdated')
