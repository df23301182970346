-- A topic that has no stream answers with the history of this Redis alone.
local stream = load(nil)
if not stream then return { history() } end
return { marks(stream) }
