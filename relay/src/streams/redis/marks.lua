-- ARGV: an epoch. A topic that has no stream answers with the history of this Redis alone.
local stream = find(ARGV[1])
if not stream then return { history() } end
return { marks(stream) }
