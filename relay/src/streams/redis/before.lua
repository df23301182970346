-- ARGV: a Unix time. The numbers of a log have no hole, so half of what is left is looked at with each step.
local stream = load(nil)
if not stream then return '0' end
local low, high = stream.first - 1, stream.head
while low < high do
    local middle = math.ceil((low + high) / 2)
    local id = text(middle) .. '-0'
    local entry = redis.call('XRANGE', log, id, id)[1]
    if entry and tonumber(entry[2][2]) >= tonumber(ARGV[1]) then high = middle - 1 else low = middle end
end
return text(low)
